import Testing

@testable import OuroborosHTTP

@Suite struct HTTPDateTests {
    /// The example of RFC 9110, 5.6.7.
    @Test func anInstant() {
        #expect(HTTPDate.text(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.text(0) == "Thu, 01 Jan 1970 00:00:00 GMT")
    }
}
