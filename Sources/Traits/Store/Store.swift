#if !Store
#error("OuroborosStore needs the package trait Store: .package(..., traits: [\"Store\"])")
#endif
