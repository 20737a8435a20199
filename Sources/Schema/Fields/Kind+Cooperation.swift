// Cooperation and communication of members: projects, standards, events, notices and vocabulary terms.

extension Kind {
    static let projectFields: [Field] = [
        Field("title", .text, perLanguage: true, roles: [.naming, .title])
            .english("Title", "What the project is called.")
            .chinese("标题", "项目的名称。"),
        Field("partners", .reference([.organization]), set: true)
            .english("Partners", "Organizations that take part, each with its role.")
            .chinese("合作伙伴", "参与单位及其角色。"),
        Field("sector", .code(scheme: .sector))
            .english("Sector", "The project's main sector.")
            .chinese("主要领域", "项目的主要行业领域。"),
        Field("region", .place)
            .english("Region", "Where the project takes place.")
            .chinese("地区", "项目实施的地区。"),
        Field("start", .date)
            .english("Start", "The first day.")
            .chinese("开始日期", "项目开始的日期。"),
        Field("end", .date)
            .english("End", "The last day.")
            .chinese("结束日期", "项目结束的日期。"),
        Field("stage", .text)
            .english("Stage", "How far the project has come.")
            .chinese("阶段", "项目进行到的阶段。"),
        Field("funding", .text)
            .english("Funding", "How the project is paid for.")
            .chinese("经费来源", "项目经费的来源。"),
        Field("results", .text)
            .english("Results", "What came of it.")
            .chinese("成果", "项目取得的成果。"),
        Field("uses", .reference([.resource, .standard]), set: true)
            .english("Uses", "Resources and standards that the project uses.")
            .chinese("使用资源", "项目使用的资源和标准。"),
        Field("demonstration", .boolean)
            .english("Demonstration project", "Whether it is a demonstration project of the alliance.")
            .chinese("示范项目", "是否为联盟的示范项目。"),
    ]

    static let standardFields: [Field] = [
        Field("number", .text, roles: [.naming])
            .english("Number", "The standard's number with its prefix and year.")
            .chinese("标准号", "标准编号，含前缀和年份。"),
        Field("title", .text, perLanguage: true, roles: [.naming, .title])
            .english("Title", "The standard's title.")
            .chinese("标题", "标准的名称。"),
        Field("body", .text, perLanguage: true, roles: [.naming])
            .english("Body", "The body that issues it.")
            .chinese("发布机构", "发布标准的机构。"),
        Field("class", .choice(["national", "sector", "group", "enterprise"]))
            .english("Class", "National, sector, group or enterprise standard.")
            .chinese("类别", "国家标准、行业标准、团体标准或企业标准。"),
        Field("state", .choice(["draft", "in force", "superseded"]))
            .english("State", "Draft, in force or superseded.")
            .chinese("标准状态", "草案、现行或被代替。"),
        Field("publishedOn", .date)
            .english("Published on", "The day on which it was published.")
            .chinese("发布日期", "标准发布的日期。"),
        Field("inForceOn", .date)
            .english("In force from", "The day from which it is in force.")
            .chinese("实施日期", "标准开始实施的日期。"),
        Field("replaces", .reference([.standard]))
            .english("Replaces", "The standard that this one replaces.")
            .chinese("代替标准", "被本标准代替的标准。"),
        Field("url", .link)
            .english("Web page", "The page on which it can be read or bought.")
            .chinese("网页", "可以阅读或购买标准的网页。"),
        Field("participants", .reference([.organization]), set: true)
            .english("Participants", "Organizations that work on it.")
            .chinese("参与单位", "参与起草的单位。"),
    ]

    static let eventFields: [Field] = [
        Field("title", .text, perLanguage: true, roles: [.naming, .title])
            .english("Title", "What the event is called.")
            .chinese("标题", "活动的名称。"),
        Field("start", .time)
            .english("Start", "When it begins.")
            .chinese("开始时间", "活动开始的时间。"),
        Field("end", .time)
            .english("End", "When it ends.")
            .chinese("结束时间", "活动结束的时间。"),
        Field("online", .boolean)
            .english("Online", "Whether one can take part by network.")
            .chinese("线上", "是否可以线上参加。"),
        Field("link", .link)
            .english("Link", "The address for taking part by network.")
            .chinese("线上链接", "线上参加的地址。"),
        Field("place", .place)
            .english("Place", "Where it takes place.")
            .chinese("地点", "活动举办的地点。"),
        Field("organizer", .reference([.organization]))
            .english("Organizer", "The organization that holds it.")
            .chinese("主办方", "举办活动的单位。"),
        Field("register", .link)
            .english("Registration", "The page for registration.")
            .chinese("报名链接", "报名的网页。"),
        Field("deadlines", .text)
            .english("Deadlines", "Last days for papers, booths or registration.")
            .chinese("截止日期", "投稿、参展或报名的截止日期。"),
        Field("state", .choice(["planned", "moved", "cancelled", "over"]))
            .english("State", "Planned, moved, cancelled or over.")
            .chinese("活动状态", "计划中、改期、取消或已结束。"),
    ]

    static let noticeFields: [Field] = [
        Field("title", .text, perLanguage: true, roles: [.naming, .title])
            .english("Title", "What the notice is about.")
            .chinese("标题", "通知的主题。"),
        Field("body", .text, perLanguage: true, roles: [.naming])
            .english("Text", "The full text of the notice.")
            .chinese("正文", "通知的全文。"),
        Field("audience", .text)
            .english("Audience", "To whom it is addressed.")
            .chinese("发送对象", "通知面向的对象。"),
        Field("validFrom", .date)
            .english("Valid from", "The first day on which it holds.")
            .chinese("生效日期", "通知开始生效的日期。"),
        Field("validTo", .date)
            .english("Valid to", "The last day on which it holds.")
            .chinese("有效期至", "通知有效的最后日期。"),
        Field("level", .text)
            .english("Level", "How urgent it is.")
            .chinese("级别", "通知的紧急程度。"),
        Field("replaces", .reference([.notice]))
            .english("Replaces", "The notice that this one replaces.")
            .chinese("替代通知", "被本通知替代的通知。"),
        Field("attachments", .link, set: true)
            .english("Attachments", "Files that belong to it, by address and checksum.")
            .chinese("附件", "所附文件的地址和校验值。"),
    ]

    static let conceptFields: [Field] = [
        Field("scheme", .text)
            .english("Scheme", "The vocabulary that it belongs to.")
            .chinese("词表", "所属的词表或分类体系。"),
        Field("code", .text)
            .english("Code", "Its code in the vocabulary.")
            .chinese("代码", "在词表中的代码。"),
        Field("labels", .text, perLanguage: true, roles: [.naming, .title])
            .english("Labels", "What it is called in each language.")
            .chinese("术语名称", "术语在各语言中的名称。"),
        Field("broader", .reference([.concept]))
            .english("Broader concept", "The more general concept above it.")
            .chinese("上位概念", "含义更广的上一级概念。"),
        Field("sameAs", .reference([.concept]))
            .english("Same as", "A concept of another vocabulary with the same meaning.")
            .chinese("等同概念", "其他词表中含义相同的概念。"),
        Field("retired", .boolean)
            .english("Retired", "Whether it should not be used any more.")
            .chinese("已停用", "是否不再使用。"),
    ]
}
