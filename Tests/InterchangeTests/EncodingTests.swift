import Interchange
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Files without an encoding mark: sentences in several languages, similar to those in catalogs.
struct EncodingTests {
    /// Sentences, and the usual encodings of tables in their language.
    struct Language: Sendable, CustomTestStringConvertible {
        let name: String
        let encodings: [String]
        let sentences: [String]
        var testDescription: String { name }
    }

    static let chinese = Language(
        name: "simplified Chinese",
        encodings: ["GB18030", "GBK", "GB2312"],
        sentences: [
            "三轴振动试验台，最大推力五十千牛", "热真空罐，有效直径四米", "本设备可以对外开放使用，请提前两周预约", "北京市海淀区中关村南大街", "王伟", "李娜，实验室主任",
            "负责人：张敏", "检测报告由国家认可的实验室出具", "高分辨率卫星遥感影像", "长沙高新技术产业开发区", "噪声与振动现场测量", "电子显微镜", "无人机航拍数据处理服务",
            "每年一月至三月停机检修", "水质自动监测站数据", "材料力学性能试验", "地下管网探测", "食品药品检验中心", "可提供技术人员现场支持", "收费标准按协议执行", "农业气象观测资料",
            "大型客车发动机台架", "森林防火预警系统", "学生实习基地", "公共交通调度平台", "清洗消毒设备一套", "数控加工中心", "中国科学院",
        ]
    )

    static let others = [
        Language(
            name: "traditional Chinese",
            encodings: ["BIG5"],
            sentences: [
                "三軸振動試驗台，最大推力五十千牛頓", "熱真空艙，有效直徑四公尺", "本設備可對外開放使用，請提前兩週預約", "臺北市大安區羅斯福路", "陳怡君", "林志明，實驗室主任",
                "負責人：黃淑芬", "檢測報告由國家認可的實驗室出具", "高解析度衛星遙測影像", "新竹科學園區", "噪音與振動現場量測", "電子顯微鏡", "無人機航拍資料處理服務",
                "每年一月至三月停機檢修",
                "水質自動監測站", "材料力學性能試驗", "地下管線探測", "食品藥物檢驗中心", "可提供技術人員現場支援", "收費標準依協議辦理",
            ]
        ),
        Language(
            name: "Japanese",
            encodings: ["CP932", "EUC-JP"],
            sentences: [
                "三軸振動試験機、最大加振力50kN", "熱真空チャンバー", "外部の方もご利用いただけます", "東京都千代田区丸の内", "佐藤 健一", "鈴木さん、研究室長", "担当：高橋",
                "検査成績書を発行します",
                "衛星画像データ", "つくば研究学園都市", "騒音・振動の現地測定", "電子顕微鏡", "ドローン空撮の処理", "毎年一月から三月まで休止", "ｶﾌﾞｼｷｶﾞｲｼﾔ ﾔﾏﾀﾞ", "材料強度試験",
                "地下埋設管の探査",
                "食品衛生検査所", "技術者を派遣できます", "料金は別途ご相談ください",
            ]
        ),
        Language(
            name: "German",
            encodings: ["CP1252"],
            sentences: [
                "Rütteltisch für große Prüfstücke", "Zürich", "Thermovakuumkammer, Länge drei Meter",
                "Öffnungszeiten nach Vereinbarung", "Müller", "Gerät außer Betrieb",
                "Prüfstand für Elektromotoren", "Schwingungsmessung vor Ort", "Höchstdrehzahl 6.000 min",
                "Mädchenschule Köln", "Straße des Friedens", "Übergabe durch Frau Schäfer",
                "kühlbar bis −40 Grad", "Lüftungsanlage geprüft", "Behörde für Gewässerschutz", "Förderung möglich",
                "Gehäuse und Zubehör", "zurückgestellt", "Düsseldorf", "häufig benutzt",
            ]
        ),
        Language(
            name: "French",
            encodings: ["CP1252"],
            sentences: [
                "Chambre à vide modèle ancien", "Orléans", "Pot vibrant à trois axes", "Réservé aux élèves",
                "François Lefèvre", "Matériel prêté sur demande", "Été comme hiver",
                "Détecteur de fumée", "Mesures acoustiques réalisées sur site", "Centre d'études techniques",
                "Forêt domaniale de Compiègne", "Élevage et pêche", "Salle équipée",
                "Contrôle qualité des eaux", "Hôpital général", "À côté de l'entrée", "Câble de dix mètres",
                "Société créée en 1987", "Noël", "garçon",
            ]
        ),
        Language(
            name: "Spanish",
            encodings: ["CP1252"],
            sentences: [
                "Mesa vibratoria de tres ejes", "Cámara de vacío térmico", "Málaga", "Muñoz", "Año de fabricación",
                "Medición de ruido en el sitio", "Teléfono del señor Peña",
                "Equipo dañado, en reparación", "Estación meteorológica", "Laboratorio químico",
                "Préstamo según acuerdo", "Niños y jóvenes", "Vehículo eléctrico", "Información técnica",
                "Depósito de agua caliente", "Único en la región", "Avión no tripulado", "Córdoba", "El próximo jueves",
                "Sólo con cita previa",
            ]
        ),
        Language(
            name: "Polish",
            encodings: ["CP1250", "ISO-8859-2"],
            sentences: [
                "Wstrząsarka trójosiowa", "Komora próżniowa, długość trzy metry", "Łódź", "Święto państwowe",
                "Żółw błotny", "Urządzenie wyłączone z użytku", "Pomiar hałasu na miejscu",
                "Kraków, ulica Długa", "Stół probierczy", "Mąka żytnia", "Środa śląska", "Gdańsk", "Władysław Szczęsny",
                "Wypożyczenie według umowy", "Źródło zasilania", "Część zamienna",
                "Ćwiczenia laboratoryjne", "Zażółć gęślą jaźń", "Jakość wód powierzchniowych",
                "Państwowa straż pożarna",
            ]
        ),
        Language(
            name: "Swedish",
            encodings: ["CP1252"],
            sentences: [
                "Skakbord för tre axlar", "Vakuumkammare, längd tre meter", "Göteborg", "Malmö", "Ångström",
                "Öppet efter överenskommelse", "Mätning på plats", "Fältstation vid sjön",
                "Trädgård och växthus", "Hållfasthetsprovning", "Åsa Sjöberg", "Försvarets materielverk", "Kärnkraft",
                "Räddningstjänst", "Går att låna", "Östersund", "Däck till lastbil",
                "Två år gammal", "Förråd", "Näringsliv",
            ]
        ),
        Language(
            name: "Czech and Hungarian",
            encodings: ["CP1250"],
            sentences: [
                "Příliš žluťoučký kůň úpěl ďábelské ódy", "Brno, náměstí Svobody", "Měření hluku", "Zkušební zařízení",
                "Dvořák", "Plzeň", "Žádost o zapůjčení", "Šířka tři metry",
                "Győr", "Rázóasztal három tengelyhez", "Őszi karbantartás", "Műszaki egyetem", "Székesfehérvár",
                "Mérés a helyszínen", "Vízminőség", "Szűcs",
            ]
        ),
        Language(
            name: "Russian",
            encodings: ["CP1251", "KOI8-R"],
            sentences: [
                "Вибростенд трёхосный", "Москва", "Термовакуумная камера", "Иванов Пётр", "Оборудование на ремонте",
                "Измерение шума на месте", "Санкт-Петербург", "Технический университет",
                "Качество воды", "По договорённости", "Лаборатория", "Электронный микроскоп", "Спутниковые снимки",
                "Ёлка", "Лесное хозяйство", "Телефон",
            ]
        ),
        Language(
            name: "Korean",
            encodings: ["EUC-KR"],
            sentences: [
                "삼축 진동 시험기", "열진공 챔버", "서울특별시 강남구", "김민수", "외부에 개방하는 장비입니다", "대전 연구단지", "소음 측정", "전자 현미경", "수질 자동 측정소",
                "재료 강도 시험", "지하 관로 탐사",
                "식품 의약품 검사", "기술자 파견 가능", "요금은 협의", "위성 영상 자료", "농업 기상 관측",
            ]
        ),
    ]

    /// A text's bytes in another encoding; nil if the encoding lacks one of its characters.
    static func bytes(_ text: String, _ encoding: String) -> [UInt8]? {
        let descriptor = iconv_open(encoding, "UTF-8")
        guard let descriptor, Int(bitPattern: descriptor) != -1 else { return nil }
        defer { iconv_close(descriptor) }
        var source = Array(text.utf8.map { CChar(bitPattern: $0) })
        var target = [CChar](repeating: 0, count: source.count * 4 + 16)
        let room = target.count
        let left = source.withUnsafeMutableBufferPointer { source in
            target.withUnsafeMutableBufferPointer { target -> Int? in
                var (input, inputLeft) = (source.baseAddress, source.count)
                var (output, outputLeft) = (target.baseAddress, target.count)
                return iconv(descriptor, &input, &inputLeft, &output, &outputLeft) == 0 ? outputLeft : nil
            }
        }
        return left.map { target.prefix(room - $0).map { UInt8(bitPattern: $0) } }
    }

    /// A table with this many rows in the encoding, each with a random sentence; nil if all rows are ASCII.
    private static func table(
        _ language: Language,
        _ encoding: String,
        rows: Int,
        _ random: inout SplitMix64
    ) -> [UInt8]? {
        var table = Array("No,name\r\n".utf8)
        for row in 1...rows {
            guard let sentence = bytes(random.pick(language.sentences), encoding) else { continue }
            table += Array("T-\(row),\"".utf8) + sentence + Array("\"\r\n".utf8)
        }
        return table.contains { $0 >= 0x80 } ? table : nil
    }

    /// The detected encoding of a file; nil if the file is refused.
    private static func taken(_ table: [UInt8]) throws -> TextEncoding? {
        let stored = try TemporaryFile(table)
        do {
            return try InputFile(path: stored.path).survey().encoding
        } catch {
            #expect(error.code == .badEncoding)
            return nil
        }
    }

    private static let sizes = [1, 2, 3, 5, 10, 30, 100, 200]

    @Test(arguments: others)
    func `no file in another encoding is read as GB18030`(_ language: Language) throws {
        var (files, fitting) = (0, 0)
        for encoding in language.encodings {
            for rows in Self.sizes {
                for seed in 0..<UInt64(rows < 30 ? 25 : 5) {
                    var random = SplitMix64(seed: seed)
                    guard let table = Self.table(language, encoding, rows: rows, &random) else { continue }
                    let encodingTaken = try Self.taken(table)
                    #expect(encodingTaken != .gb18030, "\(encoding), \(rows) rows, seed \(seed)")
                    files += 1
                    let converter = try Transcoder(MemorySource(table), from: .gb18030)
                    _ = try contents(converter)
                    if converter.invalidCount == 0 { fitting += 1 }
                }
            }
        }
        // The bytes alone would not have excluded many of them.
        print("\(language.name): \(files) files refused, of which \(fitting) have the form of GB18030")
        #expect(files >= 120 && fitting > 0)
    }

    @Test(arguments: chinese.encodings)
    func `encodings of Chinese files are recognized`(_ encoding: String) throws {
        var taken: [Int: (yes: Int, all: Int)] = [:]
        for rows in Self.sizes {
            for seed in 0..<UInt64(rows < 30 ? 50 : 10) {
                var random = SplitMix64(seed: seed)
                guard let table = Self.table(Self.chinese, encoding, rows: rows, &random) else { continue }
                let isTaken = try Self.taken(table) == .gb18030
                taken[rows, default: (0, 0)].all += 1
                if isTaken { taken[rows, default: (0, 0)].yes += 1 }
            }
        }
        let figures = Self.sizes.compactMap { rows in taken[rows].map { "\(rows) rows \($0.yes) of \($0.all)" } }
        print("\(encoding): \(figures.joined(separator: ", "))")
        for (rows, count) in taken {
            // One name may have only three characters; a few words are enough.
            let wanted = rows == 1 ? count.all * 6 / 10 : rows == 2 ? count.all * 9 / 10 : count.all * 98 / 100
            #expect(count.yes >= wanted, "\(rows) rows: \(count)")
        }
    }

    @Test func `a file in doubt is shown in several encodings`() throws {
        let cases: [(String, String, String)] = [
            ("No,name\r\nT-1,ok\r\nT-2,Gerät für Köln\r\n", "CP1252", "Windows-1252  T-2,Gerät für Köln"),
            ("No,name\nT-1,検査装置\n", "CP932", "Shift_JIS     T-1,検査装置"),
            ("No,name\nT-1,檢測裝置\n", "BIG5", "Big5          T-1,檢測裝置"),
            ("No,name\nT-1,喆\n", "GBK", "GB18030       T-1,喆"),
        ]
        for (text, encoding, row) in cases {
            let stored = try TemporaryFile(try #require(Self.bytes(text, encoding)))
            let file = try InputFile(path: stored.path, shownName: "t.csv")
            let error = #expect(throws: InterchangeError.self) { try file.survey() }
            let lines = try #require(error).details
            #expect(error?.message.hasPrefix("the encoding of t.csv is in doubt at line ") == true)
            #expect(lines.map { $0.prefix(12).trimmingBlanks } == ["GB18030", "Big5", "Shift_JIS", "Windows-1252"])
            #expect(lines.contains(row), "\(lines)")
            // If the user names it, it is used.
            let shown = String(try #require(row.split(separator: " ").first))
            let wanted: TextEncoding = try #require(TextEncoding(named: shown))
            let survey = try file.survey(encoding: wanted)
            #expect(survey == InputSurvey(encoding: wanted, origin: .given))
            let reader = try SourceReader(file: file, survey: survey, format: .csv, options: options(key: "No"))
            var last: SourceRow?
            while let event = try reader.next() { last = event.row }
            let name = try #require(text.split(separator: ",").last)
            #expect(last?["name/und"] == InterchangeTests.text(String(name.trimmingBlanks)))
        }
    }

    @Test func `a long line is cut around the doubtful position`() throws {
        let long = String(repeating: "word, ", count: 5_000)
        let stored = try TemporaryFile(Array("No,name\n1,\(long)".utf8) + [0x5A, 0xFC] + Array("rich \(long)\n".utf8))
        let file = try InputFile(path: stored.path)
        let error = #expect(throws: InterchangeError.self) { try file.survey() }
        #expect(error?.details.contains { $0.contains("Zürich") } == true)
        #expect((error?.details.joined().utf8.count ?? 0) < 700)
    }

    @Test func `every name of an encoding is one that the system has`() throws {
        for name in TextEncoding.names.split(separator: ", ") {
            let encoding = try #require(TextEncoding(named: String(name)), "\(name)")
            _ = try Transcoder(MemorySource([]), from: encoding)
            #expect(TextEncoding(named: encoding.rawValue) == encoding)
        }
    }
}

extension Substring {
    fileprivate var trimmingBlanks: Substring {
        var text = self
        while text.first == " " { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }
}
