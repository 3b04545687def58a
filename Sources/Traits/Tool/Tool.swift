#if !Tool
#error("the command ouroboros needs the package trait Tool: .package(..., traits: [\"Tool\"])")
#endif
