// The members themselves: organizations, their locations and contacts.

extension Kind {
    static let organizationFields: [Field] = [
        Field("type", .choice(["enterprise", "institute", "university", "agency", "support institution"]))
            .english("Type", "Enterprise, institute, university, agency or regional support institution.")
            .chinese("类型", "企业、研究所、高校、机构或区域支撑机构。"),
        Field("roles", .text, set: true)
            .english("Roles", "What it does in the alliance.")
            .chinese("联盟角色", "在联盟中承担的角色。"),
        Field("memberSince", .date)
            .english("Member since", "The day on which it joined the alliance.")
            .chinese("入盟日期", "加入联盟的日期。"),
        Field("parent", .reference([.organization]))
            .english("Parent organization", "The organization that it belongs to.")
            .chinese("上级单位", "所隶属的单位。"),
        Field("regionsServed", .place, set: true)
            .english("Regions served", "Regions in which it works.")
            .chinese("服务区域", "开展工作的地区。"),
        Field("website", .link)
            .english("Website", "The address of its website.")
            .chinese("网站", "单位网站的地址。"),
        Field("logo", .link)
            .english("Logo", "The address of a picture of its logo.")
            .chinese("标志", "单位标志图片的地址。"),
        Field("year", .date)
            .english("Founded in", "The year in which it was founded.")
            .chinese("成立年份", "单位成立的年份。"),
        Field("address", .text, roles: [.naming])
            .english("Address", "Its postal address.")
            .chinese("地址", "单位的通信地址。"),
    ]

    static let locationFields: [Field] = [
        Field("address", .text, roles: [.naming])
            .english("Address", "Street, number, building and town.")
            .chinese("地址", "城市、街道、门牌号和楼宇。"),
        Field("adminCode", .code(scheme: .division))
            .english("Division code", "The code of its administrative division.")
            .chinese("行政区划代码", "所属行政区划的代码。"),
        Field("country", .code(scheme: .country))
            .english("Country", "The country, by its code of two letters.")
            .chinese("国家", "国家的两位字母代码。"),
        Field("postcode", .text)
            .english("Postcode", "The postal code.")
            .chinese("邮政编码", "所在地的邮政编码。"),
        Field("lat", .number)
            .english("Latitude", "Degrees north of the equator; negative to the south.")
            .chinese("纬度", "以度为单位，北纬为正，南纬为负。"),
        Field("lon", .number)
            .english("Longitude", "Degrees east of Greenwich; negative to the west.")
            .chinese("经度", "以度为单位，东经为正，西经为负。"),
        Field("precision", .choice(["exact", "city", "region", "hidden"]))
            .english("Precision", "How exact the position is: exact, city, region or hidden.")
            .chinese("位置精度", "位置的精确程度：精确、城市、地区或隐藏。"),
        Field("timezone", .code(scheme: .timeZone))
            .english("Time zone", "The time zone in which local times are given.")
            .chinese("时区", "当地时间所用的时区。"),
        Field("accessNote", .text)
            .english("Access", "How to get there and in: gates, passes, lifts.")
            .chinese("到访说明", "如何到达和进入，如门岗、通行证、电梯。"),
    ]

    static let contactFields: [Field] = [
        Field("role", .text, roles: [.naming])
            .english("Role", "The duty that answers, such as test bookings.")
            .chinese("岗位", "负责答复的岗位，如试验预约。"),
        Field("department", .text, roles: [.naming])
            .english("Department", "The department that answers.")
            .chinese("部门", "负责答复的部门。"),
        Field("mailbox", .email)
            .english("Mailbox", "The e-mail address of the role or department.")
            .chinese("邮箱", "岗位或部门的电子邮箱。"),
        Field("telephone", .telephone)
            .english("Telephone", "The telephone number, with country and area code.")
            .chinese("电话", "电话号码，含国家和地区区号。"),
        Field("language", .code(scheme: .language))
            .english("Language", "The language in which it answers best.")
            .chinese("语言", "沟通的首选语言。"),
        Field("hours", .recurrence)
            .english("Hours", "When it can be reached.")
            .chinese("联系时间", "可以联系的时间。"),
        Field("person", .text)
            .english("Person", "A person's name, where that person agrees.")
            .chinese("姓名", "联系人姓名，须经本人同意。"),
    ]
}
