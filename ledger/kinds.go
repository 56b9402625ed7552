package ledger

func latest(kind string) bool { return kind == "config.applied" }
