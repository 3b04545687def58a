// What a debugger or `dump` sees of secrets: nothing. Embedded Swift has no reflection, and leaves this file out.

extension SecretKey: CustomReflectable {
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension SecretBytes: CustomReflectable {
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension SavedSession: CustomReflectable {
    public var customMirror: Mirror { Mirror(self, children: []) }
}
