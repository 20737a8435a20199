import Simulator

/// Realistic records of members, about 500 bytes of JSON each, in Chinese and English. They are generated from a
/// number, so every run and every machine has the same. Names and figures are invented.
struct RecordGenerator {
    /// One record in the forms that scenarios need.
    struct Record {
        /// One line of JSON, without the line feed.
        let json: [UInt8]
        /// One row of the table with ``header``, without the line feed.
        let csv: [UInt8]
        /// The texts that plain SQLite indexes: name, description, tags.
        let texts: [String]
    }

    static let kind = "resource"
    static let header =
        "id,name.zh,name.en,description,tags,type,manufacturer,model,quantity,city,serviceLevel,price,currency,homepage"

    private static let things = [
        "spectrometer", "microscope", "furnace", "lathe", "press", "laboratory", "clean room", "wind tunnel", "server",
        "data set", "drone", "boat", "crane", "printer", "scanner", "greenhouse", "test bench", "sensor network",
        "centrifuge", "freezer", "truck", "workshop", "archive", "meeting hall", "survey vehicle", "pump", "robot",
        "telescope", "climate chamber", "water station",
    ]
    private static let thingsChinese = [
        "光谱仪", "显微镜", "电炉", "车床", "压力机", "实验室", "洁净室", "风洞", "服务器", "数据集", "无人机", "船只", "起重机",
        "打印机", "扫描仪", "温室", "试验台", "传感网络", "离心机", "冷柜", "卡车", "车间", "档案库", "会议厅", "测量车", "水泵",
        "机器人", "望远镜", "气候箱", "水文站",
    ]
    private static let qualities = [
        "portable", "large", "precise", "shared", "calibrated", "mobile", "automatic", "cooled", "certified", "modular",
        "coastal", "central", "northern", "southern", "eastern", "western", "digital", "optical", "thermal", "acoustic",
    ]
    private static let qualitiesChinese = [
        "便携式", "大型", "精密", "共享", "校准", "移动", "自动", "冷却", "认证", "模块化", "沿海", "中心", "北方", "南方", "东部",
        "西部", "数字", "光学", "热工", "声学",
    ]
    private static let cities = [
        "杭州", "宁波", "上海", "苏州", "南京", "合肥", "武汉", "成都", "重庆", "西安", "Lübeck", "Tallinn", "Gdańsk", "Bergen",
        "Riga", "Rotterdam", "Porto", "Lyon", "Turku", "Visby",
    ]
    private static let uses = [
        "soil and water samples", "bridge inspection", "crop monitoring", "flood forecasts", "small series of parts",
        "air quality measurements", "training of operators", "material tests", "traffic counts", "forest surveys",
        "pipe inspection", "food safety checks", "heritage records", "energy audits", "port logistics",
    ]
    private static let tags = [
        "测量", "检测", "环境", "农业", "林业", "交通", "水利", "安全", "training", "outdoor", "on request", "24h", "certified",
        "shared", "loan", "remote", "pilot", "lab", "field", "data",
    ]
    private static let makers = [
        "Nordlicht", "东海仪器", "Hafen Werke", "Atlas Labs", "长江机电", "Fjord Systems", "Kontor", "光明",
    ]

    /// The record with this number. `revision` changes one field of it.
    static func record(_ number: Int, revision: Int = 0) -> Record {
        var random = SplitMix64(seed: UInt64(number) &* 0x9E37_79B9_7F4A_7C15 | 1)
        func pick<Item>(_ items: [Item]) -> Item { items[Int(random.next() % UInt64(items.count))] }
        let thing = Int(random.next() % UInt64(things.count))
        let quality = Int(random.next() % UInt64(qualities.count))
        let city = pick(cities)
        let id = "R-" + padded(number, 7)
        let serial = padded(Int(random.next() % 100_000), 5)
        let chinese = "\(city)\(qualitiesChinese[quality])\(thingsChinese[thing])\(serial)号"
        let english = "\(qualities[quality]) \(things[thing]) \(serial)"
        let maker = pick(makers)
        let description =
            "A \(qualities[quality]) \(things[thing]) by \(maker) for \(pick(uses)) and \(pick(uses)); "
            + "可用于\(pick(qualitiesChinese))\(pick(thingsChinese))的\(pick(tags))与维护。"
        var chosen: [String] = []
        while chosen.count < 3 {
            let tag = pick(tags)
            if !chosen.contains(tag) { chosen.append(tag) }
        }
        let model = "M\(random.next() % 900 + 100)-\(pick(["A", "B", "C", "X"]))"
        let quantity = Int(random.next() % 12) + 1 + revision
        let level = pick(["self", "assisted", "full"])
        let price = "\(random.next() % 900 + 10).\(random.next() % 9 + 1)"
        let homepage = "https://example.org/resources/\(id.lowercased())"
        let json =
            #"{"id":"\#(id)","name":{"zh":"\#(chinese)","en":"\#(english)"},"description":"\#(description)","#
            + #""tags":["\#(chosen.joined(separator: #"",""#))"],"type":"equipment","manufacturer":"\#(maker)","#
            + #""model":"\#(model)","quantity":\#(quantity),"city":"\#(city)","serviceLevel":"\#(level)","#
            + #""price":\#(price),"currency":"CNY","homepage":"\#(homepage)"}"#
        let csv = [
            id, chinese, english, description, chosen.joined(separator: ";"), "equipment", maker, model, "\(quantity)",
            city, level, price, "CNY", homepage,
        ].map { $0.utf8.contains(UInt8(ascii: ",")) ? "\"\($0)\"" : $0 }.joined(separator: ",")
        return Record(
            json: Array(json.utf8),
            csv: Array(csv.utf8),
            texts: [chinese + " " + english, description, chosen.joined(separator: " ")]
        )
    }

    private static func padded(_ number: Int, _ digits: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
