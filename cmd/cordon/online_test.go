package main

import (
	"path/filepath"
	"testing"
	"time"

	"cordon/custody"
	"cordon/ledger"
	"cordon/people"
	"cordon/store"
)

// The sponsor of a remote service who is signed in to the console is there, by
// whichever spelling of the name the ticket has; who has left is not.
func TestWhoIsSignedInIsThere(t *testing.T) {
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), people.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	book, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := people.Open(t.Context(), db, book, people.Options{Cost: people.Cost{KiB: 8, Passes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	link, err := accounts.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Second)
	in, err := accounts.Join(t.Context(), link.Secret, "Ada Ashe", people.Proof{Password: "four words of one's own"}, people.Origin{Address: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := accounts.Invite(t.Context(), "Ben Birk", people.Change{Roles: []people.Role{people.PACS}}, custody.Request{By: "Ada Ashe", Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	p := &parts{people: accounts}
	for name, there := range map[string]bool{"Ada Ashe": true, "ada ashe": true, "Ben Birk": false, "C. Cole": false} {
		if seen := p.online(t.Context(), name); seen.After(before) != there {
			t.Errorf("%s: %v", name, seen)
		}
	}
	id, err := accounts.Session(t.Context(), in.Secret, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := accounts.Leave(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if seen := p.online(t.Context(), "Ada Ashe"); !seen.IsZero() {
		t.Error(seen)
	}
}
