import Board

enum Console {
    static func write(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            utf8.withMemoryRebound(to: CChar.self) { board_write($0.baseAddress, $0.count) }
        }
    }
}
