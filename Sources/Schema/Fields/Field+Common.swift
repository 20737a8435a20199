extension Field {
    /// The fields of every kind, in display order.
    package static let common: [Field] = [
        Field("name", .text, perLanguage: true, roles: [.naming, .title])
            .english("Name", "What the record is called.")
            .chinese("名称", "记录的名称。"),
        Field("summary", .text, perLanguage: true, roles: [.naming])
            .english("Summary", "One or two sentences for lists.")
            .chinese("摘要", "列表中显示的一两句话。"),
        Field("description", .text, perLanguage: true, roles: [.naming])
            .english("Description", "The full description in plain text.")
            .chinese("说明", "完整的文字说明。"),
        Field("altNames", .text, set: true, roles: [.alias])
            .english("Other names", "Former, short and foreign names.")
            .chinese("别名", "曾用名、简称和外文名称。"),
        Field("identifiers", .code(scheme: nil), set: true)
            .english("Identifiers", "Numbers under which others know it, each with its scheme.")
            .chinese("标识号", "在其他体系中的编号，注明所属体系，如统一社会信用代码。"),
        Field("status", .choice(["active", "suspended", "retired", "withdrawn"]))
            .english("Status", "Whether the record is active, suspended, retired or withdrawn.")
            .chinese("状态", "记录是有效、暂停、停用还是撤回。"),
        Field("reason", .text)
            .english("Reason", "Why the status is not active.")
            .chinese("原因", "状态不是“有效”的原因。"),
        Field("supersededBy", .reference(Set(Kind.allCases)))
            .english("Superseded by", "The record that takes the place of this one.")
            .chinese("替代记录", "取代本记录的记录。"),
        Field("sectors", .code(scheme: .sector), set: true)
            .english("Sectors", "Sectors of the alliance that it belongs to.")
            .chinese("行业领域", "所属的联盟行业领域。"),
        Field("codes", .code(scheme: nil), set: true)
            .english("Codes", "Codes of classifications, each with its scheme.")
            .chinese("分类代码", "各分类体系中的代码，注明所属体系。"),
        Field("tags", .text, set: true)
            .english("Tags", "Free keywords by which it is found.")
            .chinese("标签", "便于检索的自由关键词。"),
        Field("locations", .reference([.location]), set: true)
            .english("Locations", "Where it is found.")
            .chinese("所在地点", "所在的地点记录。"),
        Field("contacts", .reference([.contact]), set: true)
            .english("Contacts", "Whom to ask about it.")
            .chinese("联系人", "可供咨询的联系方式记录。"),
        Field("links", .link, set: true)
            .english("Links", "Pages and files about it.")
            .chinese("链接", "相关的网页和文件。"),
        Field("visibility", .choice(["alliance", "named", "private"]))
            .english("Visibility", "Who may see the record: the alliance, named members or nobody else.")
            .chinese("可见范围", "谁可以看到本记录：全联盟、指定成员或仅本单位。"),
        Field("verifiedAt", .date)
            .english("Verified on", "The day on which the owner last checked the record.")
            .chinese("核实日期", "所有者最近一次核实记录的日期。"),
        Field("verifiedBy", .text)
            .english("Verified by", "The role or department that checked it.")
            .chinese("核实人", "负责核实的岗位或部门。"),
        Field("expiresAt", .date)
            .english("Expires on", "The day from which the record no longer holds, or never.")
            .chinese("失效日期", "记录从该日起失效；也可填“never”（长期有效）。"),
        Field("sourceModified", .time)
            .english("Changed at source", "When the record last changed in the owner's own system.")
            .chinese("源系统修改时间", "记录在所有者自有系统中的最近修改时间。"),
        Field("note", .text)
            .english("Note", "A remark for readers.")
            .chinese("备注", "给读者的补充说明。"),
    ]
}
