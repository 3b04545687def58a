#if !Postgres
#error("OuroborosPostgres needs the package trait Postgres: .package(..., traits: [\"Postgres\"])")
#endif
