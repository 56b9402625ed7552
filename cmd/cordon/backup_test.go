package main

import (
	"slices"
	"testing"

	"cordon/token"
)

// What the configuration names is in a backup: without it Cordon does not start, or
// an archive does not know it. What lies in the data directory is in it already.
func TestABackupHasTheFilesThatTheConfigurationNames(t *testing.T) {
	c := defaults()
	c.File, c.Data = "/etc/cordon/cordon.yaml", "/var/lib/cordon"
	c.Archives = []ArchiveConfig{{Name: "pacs", Web: &ArchiveWebConfig{TokenFile: "/etc/cordon/token", PasswordFile: "/var/lib/cordon/pki/password"}}}
	c.Gateway.Web = &WebConfig{Tokens: []TokenConfig{{Config: token.Config{Keys: "/etc/cordon/keys.json"}}}}
	c.Ledger.Witnesses = []LedgerWitness{{URL: "https://b.example", CA: "/etc/cordon/witness.pem"}}
	want := []string{"/etc/cordon/cordon.yaml", "/etc/cordon/keys.json", "/etc/cordon/token", "/etc/cordon/witness.pem"}
	files := c.backup().Files
	if slices.Sort(files); !slices.Equal(files, want) {
		t.Errorf("%v, want %v", files, want)
	}
}
