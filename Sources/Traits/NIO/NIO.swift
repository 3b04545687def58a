#if !NIO
#error("OuroborosNIO, -Testing and -Metrics need the package trait NIO: .package(..., traits: [\"NIO\"])")
#endif
