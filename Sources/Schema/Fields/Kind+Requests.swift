// Requests of members: needs and reservations.

extension Kind {
    static let needFields: [Field] = [
        Field("title", .text, perLanguage: true, roles: [.naming, .title])
            .english("Title", "What is needed, in a few words.")
            .chinese("标题", "用几个词概括所需内容。"),
        Field("category", .code(scheme: nil))
            .english("Category", "The kind of work or thing, as a code or term of a vocabulary.")
            .chinese("类别", "所需工作或物品的类别，用词表中的代码或术语表示。"),
        Field("parameters", .parameters)
            .english("Parameters", "Technical demands, such as frequency, payload or temperature.")
            .chinese("技术参数", "技术指标的要求，如频率、载荷、温度。"),
        Field("quantity", .quantity)
            .english("Quantity", "How much is needed.")
            .chinese("数量", "所需的数量。"),
        Field("unit", .code(scheme: .unit))
            .english("Unit", "The unit of the quantity.")
            .chinese("单位", "数量的计量单位。"),
        Field("window", .interval)
            .english("Window", "The time in which it is needed.")
            .chinese("时间窗口", "需要的时间范围。"),
        Field("place", .place)
            .english("Place", "Where it is needed.")
            .chinese("地点", "需要的地点。"),
        Field("budget", .money)
            .english("Budget", "What may be spent.")
            .chinese("预算", "可以支出的金额。"),
        Field("exchange", .text)
            .english("Exchange", "What is given in return, if not money alone.")
            .chinese("交换方式", "除付款外可提供的回报。"),
        Field("deadline", .date)
            .english("Deadline", "The last day for offers.")
            .chinese("截止日期", "接受应答的最后日期。"),
        Field("state", .choice(["open", "in talks", "met", "closed"]))
            .english("State", "Open, in talks, met or closed.")
            .chinese("进展", "开放、洽谈中、已满足或已关闭。"),
        Field("metBy", .reference([.organization, .capability, .resource, .project]), set: true)
            .english("Met by", "Who or what met the need.")
            .chinese("满足方", "满足该需求的单位、能力、资源或项目。"),
        Field("region", .place)
            .english("Region", "The region from which offers are wanted.")
            .chinese("地区", "希望由哪个地区应答。"),
        Field("terms", .text)
            .english("Terms", "Conditions for offers.")
            .chinese("条件", "对应答方的要求。"),
    ]

    static let reservationFields: [Field] = [
        Field("resource", .reference([.resource, .capability, .event]), roles: [.naming])
            .english("Resource", "What is reserved.")
            .chinese("预约对象", "要预约的资源、能力或活动。"),
        Field("requester", .reference([.organization]))
            .english("Requester", "The organization that asks.")
            .chinese("申请方", "提出预约的单位。"),
        Field("window", .interval)
            .english("Window", "From when to when it is reserved.")
            .chinese("预约时段", "预约的起止时间。"),
        Field("quantity", .quantity)
            .english("Quantity", "How much is reserved.")
            .chinese("数量", "预约的数量。"),
        Field("purpose", .text)
            .english("Purpose", "What it is reserved for.")
            .chinese("用途", "预约的用途。"),
        Field("state", .choice(["asked", "held", "confirmed", "declined", "cancelled", "done"]))
            .english("State", "Asked, held, confirmed, declined, cancelled or done.")
            .chinese("进展", "已申请、暂留、已确认、已拒绝、已取消或已完成。"),
        Field("decidedBy", .text)
            .english("Decided by", "The role or department that decided.")
            .chinese("决定人", "作出决定的岗位或部门。"),
        Field("decidedAt", .time)
            .english("Decided at", "When it was decided.")
            .chinese("决定时间", "作出决定的时间。"),
        Field("series", .text)
            .english("Series", "What the reservations of one series have in common.")
            .chinese("系列", "同一系列预约共用的编号。"),
        Field("skipConflicts", .boolean)
            .english("Skip conflicts", "Whether times that are taken are left out of the series.")
            .chinese("跳过冲突", "系列预约是否跳过已被占用的时段。"),
    ]
}
