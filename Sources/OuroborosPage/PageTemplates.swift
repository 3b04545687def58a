import Mustache

/// The page's files, which are part of the binary.
struct PageTemplates: Sendable {
    private let library: MustacheLibrary

    /// Parts of the page that are sent again as they change, by the ids that they have there.
    static let overviewParts = ["status", "notice", "traffic", "presence", "drops", "shown", "rows", "pages"]
    static let deviceParts = ["status", "notice", "facts", "messages"]

    static var script: [UInt8] { PackageResources.page_js }
    static var style: [UInt8] { PackageResources.page_css }

    init() throws {
        MustacheContentTypes.register(ScalarHTML(), named: "SCALAR-HTML")
        var library = MustacheLibrary()
        for (name, text) in Self.files {
            // A partial keeps the type of the template that it stands in, and is rendered by itself, too.
            let typed = "{{% CONTENT_TYPE: SCALAR-HTML}}\n" + String(decoding: text, as: UTF8.self)
            try library.register(typed, named: name)
        }
        self.library = library
    }

    private static let files: KeyValuePairs = [
        "overview": PackageResources.overview_mustache,
        "device": PackageResources.device_mustache,
        "head": PackageResources.head_mustache,
        "status": PackageResources.status_mustache,
        "notice": PackageResources.notice_mustache,
        "away": PackageResources.away_mustache,
        "traffic": PackageResources.traffic_mustache,
        "presence": PackageResources.presence_mustache,
        "drops": PackageResources.drops_mustache,
        "shown": PackageResources.shown_mustache,
        "rows": PackageResources.rows_mustache,
        "pages": PackageResources.pages_mustache,
        "facts": PackageResources.facts_mustache,
        "messages": PackageResources.messages_mustache,
    ]

    func render(_ view: Any, as name: String) -> String {
        library.render(view, withTemplate: name) ?? ""
    }
}
