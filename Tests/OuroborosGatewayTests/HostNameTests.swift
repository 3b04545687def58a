import OuroborosHTTP
import Testing

struct HostNameTests {
    @Test(arguments: [
        ("127.0.0.1:9700", true), ("[::1]:9700", true), ("localhost:9700", true), ("gateway.lan", true),
        ("GATEWAY.lan:9700", true), (nil, true), ("evil.example:9700", false),
        ("127.0.0.1.evil.example", false),
        ("localhost.evil.example", false), ("[::1", true), (":", false),
    ])
    func otherSitesCannotHaveItsName(authority: String?, isAccepted: Bool) {
        #expect(OwnHost(names: ["gateway.lan"]).accepts(authority) == isAccepted)
    }
}
