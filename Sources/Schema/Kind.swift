/// The kinds of record that Hansa defines, in display order. Nodes also keep and show records of other kinds.
package enum Kind: String, CaseIterable, Hashable, Sendable {
    case organization, location, contact, capability, resource, capacity, need, reservation, project, standard, event,
        notice, concept

    /// The fields of this kind, without ``Field/common``, in display order.
    package var ownFields: [Field] {
        switch self {
        case .organization: Self.organizationFields
        case .location: Self.locationFields
        case .contact: Self.contactFields
        case .capability: Self.capabilityFields
        case .resource: Self.resourceFields
        case .capacity: Self.capacityFields
        case .need: Self.needFields
        case .reservation: Self.reservationFields
        case .project: Self.projectFields
        case .standard: Self.standardFields
        case .event: Self.eventFields
        case .notice: Self.noticeFields
        case .concept: Self.conceptFields
        }
    }

    /// The kind's label and description.
    package var words: Words {
        switch self {
        case .organization:
            Words()
                .english("Organization", "A company, institute, university or agency of the alliance.")
                .chinese("单位", "联盟中的企业、研究所、高校或机构。")
        case .location:
            Words()
                .english("Location", "A site, building or address where something can be found.")
                .chinese("地点", "设施、楼宇或地址等所在地。")
        case .contact:
            Words()
                .english("Contact", "A role or department that answers questions, and how to reach it.")
                .chinese("联系方式", "负责答复的岗位或部门及其联系办法。")
        case .capability:
            Words()
                .english("Capability", "A service, process or technique that an organization offers.")
                .chinese("能力", "单位可以提供的服务、工艺或技术。")
        case .resource:
            Words()
                .english("Resource", "Equipment, a facility, data, software or a technology that others may use.")
                .chinese("资源", "可供他方使用的设备、设施、数据、软件或技术。")
        case .capacity:
            Words()
                .english("Capacity", "How much of a resource or capability is free, and when.")
                .chinese("产能", "资源或能力在某一时段内的可用数量。")
        case .need:
            Words()
                .english("Need", "What an organization looks for, with its terms and its deadline.")
                .chinese("需求", "单位正在寻求的内容及其条件和期限。")
        case .reservation:
            Words()
                .english("Reservation", "A request to use a resource in a certain time, and its outcome.")
                .chinese("预约", "在某一时段使用资源的申请及其结果。")
        case .project:
            Words()
                .english("Project", "Joint work of several partners, with its results.")
                .chinese("项目", "多个伙伴的合作项目及其成果。")
        case .standard:
            Words()
                .english("Standard", "A national, sector, group or enterprise standard.")
                .chinese("标准", "国家、行业、团体或企业标准。")
        case .event:
            Words()
                .english("Event", "A meeting, training or fair with a date.")
                .chinese("活动", "有确定日期的会议、培训或展会。")
        case .notice:
            Words()
                .english("Notice", "An announcement to the members of the alliance.")
                .chinese("通知", "向联盟成员发布的公告。")
        case .concept:
            Words()
                .english("Concept", "A term of a vocabulary, with its code and its labels.")
                .chinese("概念", "词表中的一个术语及其代码和名称。")
        }
    }
}
