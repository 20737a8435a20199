// Offers of members: capabilities, resources and their free capacity.

extension Kind {
    static let capabilityFields: [Field] = [
        Field("category", .code(scheme: nil))
            .english("Category", "The kind of work, as a code or term of a vocabulary.")
            .chinese("类别", "工作类别，用词表中的代码或术语表示。"),
        Field("parameters", .parameters)
            .english("Parameters", "Technical limits, such as frequency, payload or temperature.")
            .chinese("技术参数", "技术指标的范围，如频率、载荷、温度。"),
        Field("inputs", .text, set: true)
            .english("Inputs", "What the customer provides: samples, drawings, data.")
            .chinese("所需输入", "需要客户提供的样品、图纸或数据。"),
        Field("outputs", .text, set: true)
            .english("Outputs", "What the customer receives: reports, parts, data.")
            .chinese("交付成果", "交付给客户的报告、零件或数据。"),
        Field("materials", .text, set: true)
            .english("Materials", "Materials that can be worked on or tested.")
            .chinese("适用材料", "可以加工或检测的材料。"),
        Field("certificates", .text, set: true)
            .english("Certificates", "Certificates and accreditations that cover it.")
            .chinese("资质证书", "涵盖该能力的证书和认可。"),
        Field("maturity", .text)
            .english("Maturity", "How far it is developed, from research to routine.")
            .chinese("成熟度", "从研究到常规应用的成熟程度。"),
        Field("providedBy", .reference([.resource]), set: true)
            .english("Provided by", "Resources with which the work is done.")
            .chinese("依托资源", "完成该工作所依托的资源。"),
        Field("regionsServed", .place, set: true)
            .english("Regions served", "Regions in which it is offered.")
            .chinese("服务区域", "提供服务的地区。"),
        Field("deliveryMode", .text)
            .english("Delivery", "Where and how the work is done, such as on site or by network.")
            .chinese("服务方式", "工作的地点和方式，如现场或远程。"),
        Field("terms", .text)
            .english("Terms", "Conditions and prices.")
            .chinese("条件", "使用条件和价格。"),
        Field("region", .place)
            .english("Region", "Where the work is done.")
            .chinese("地区", "开展工作的地区。"),
    ]

    static let resourceFields: [Field] = [
        Field(
            "type",
            .choice([
                "equipment", "facility", "lab", "software", "data set", "vehicle", "space", "expertise", "technology",
            ])
        )
        .english("Type", "Equipment, facility, lab, software, data set, vehicle, space, expertise or technology.")
        .chinese("类型", "设备、设施、实验室、软件、数据集、车辆、场地、专家或技术。"),
        Field("partOf", .reference([.resource]))
            .english("Part of", "The resource that it is a part of.")
            .chinese("隶属于", "所隶属的资源。"),
        Field("manufacturer", .text)
            .english("Manufacturer", "Who made it.")
            .chinese("制造商", "制造单位。"),
        Field("model", .text)
            .english("Model", "The manufacturer's name or number of the model.")
            .chinese("型号", "制造商给出的型号。"),
        Field("quantity", .quantity)
            .english("Quantity", "How many there are.")
            .chinese("数量", "现有的数量。"),
        Field("unit", .code(scheme: .unit))
            .english("Unit", "The unit of quantities and rates.")
            .chinese("单位", "数量和费率的计量单位。"),
        Field("commissioned", .date)
            .english("Commissioned", "When it was put into use.")
            .chinese("启用日期", "投入使用的日期。"),
        Field("decommissioned", .date)
            .english("Decommissioned", "When it was taken out of use.")
            .chinese("停用日期", "停止使用的日期。"),
        Field("measures", .text)
            .english("Measures", "What it measures.")
            .chinese("测量对象", "用于测量的物理量或对象。"),
        Field("photo", .link)
            .english("Photo", "The address of a picture.")
            .chinese("照片", "照片的地址。"),
        Field("access", .text)
            .english("Who may use it", "Who may use it, and on what condition.")
            .chinese("使用对象", "谁可以使用，以及使用前提。"),
        Field("serviceLevel", .choice(["self", "assisted", "full"]))
            .english("Service level", "Who operates it: the user, the user with help, or the owner.")
            .chinese("服务级别", "由用户自行操作、在协助下操作，还是全程代操作。"),
        Field("training", .text)
            .english("Training", "What users must learn first.")
            .chinese("培训要求", "使用前须接受的培训。"),
        Field("bookingLink", .link)
            .english("Booking link", "The page on which it is booked.")
            .chinese("预约链接", "办理预约的网页。"),
        Field("leadTime", .duration)
            .english("Lead time", "The time from the request to the first use.")
            .chinese("提前期", "从申请到首次使用所需的时间。"),
        Field("priceModel", .text)
            .english("Price model", "Free, at cost, or at a rate.")
            .chinese("收费方式", "免费、按成本或按费率收费。"),
        Field("amount", .money)
            .english("Amount", "The price of one unit.")
            .chinese("金额", "每单位的价格。"),
        Field("currency", .code(scheme: .currency))
            .english("Currency", "The currency of the amount.")
            .chinese("币种", "金额所用的货币。"),
        Field("safetyNote", .text)
            .english("Safety", "Dangers, and what users must observe.")
            .chinese("安全说明", "危险因素和使用者须遵守的事项。"),
        Field("country", .code(scheme: .country))
            .english("Country", "The country, by its code of two letters.")
            .chinese("国家", "国家的两位字母代码。"),
        Field("lat", .number)
            .english("Latitude", "Degrees north of the equator; negative to the south.")
            .chinese("纬度", "以度为单位，北纬为正，南纬为负。"),
        Field("lon", .number)
            .english("Longitude", "Degrees east of Greenwich; negative to the west.")
            .chinese("经度", "以度为单位，东经为正，西经为负。"),
        Field("region", .place)
            .english("Region", "Where it stands or is available.")
            .chinese("地区", "所在地区或可用地区。"),
        Field("licence", .code(scheme: .licence))
            .english("Licence", "The licence of software, data or technology.")
            .chinese("许可证", "软件、数据或技术的使用许可。"),
        Field("maturity", .text)
            .english("Maturity", "How far it is developed, from research to routine.")
            .chinese("成熟度", "从研究到常规应用的成熟程度。"),
        Field("terms", .text)
            .english("Terms", "Conditions of use and prices.")
            .chinese("条件", "使用条件和价格。"),
    ]

    static let capacityFields: [Field] = [
        Field("subject", .reference([.resource, .capability, .event]), roles: [.naming])
            .english("Subject", "The resource, capability or event that the numbers are about.")
            .chinese("对象", "数量所指的资源、能力或活动。"),
        Field("unit", .code(scheme: .unit))
            .english("Unit", "The unit of the numbers, such as test days.")
            .chinese("单位", "数量的计量单位，如试验日。"),
        Field("period", .recurrence)
            .english("Period", "The time that the numbers are about, or how it repeats.")
            .chinese("时段", "数量对应的时段或重复规则。"),
        Field("total", .quantity)
            .english("Total", "How much there is in the period.")
            .chinese("总量", "该时段内的总量。"),
        Field("committed", .quantity)
            .english("Committed", "How much is promised already.")
            .chinese("已占用", "已经承诺出去的数量。"),
        Field("available", .quantity)
            .english("Available", "How much is free; not always the total less what is committed.")
            .chinese("可用量", "空闲的数量，不一定等于总量减去已占用量。"),
        Field("asOf", .time)
            .english("As of", "When the numbers were true.")
            .chinese("统计时间", "数量有效的时间点。"),
    ]
}
