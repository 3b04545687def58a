#if !Gateway
#error("the gateway's modules need the package trait Gateway: .package(..., traits: [\"Gateway\"])")
#endif
