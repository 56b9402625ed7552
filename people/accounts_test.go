package people

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/custody"
	"cordon/store"
)

// notebook is a journal that a test can read.
type notebook struct {
	mu    sync.Mutex
	kinds []string
	all   string
}

func (n *notebook) Append(_ *store.Tx, kind string, body any) error {
	text, err := json.Marshal(body)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kinds, n.all = append(n.kinds, kind), n.all+kind+" "+string(text)+"\n"
	return err
}

func (n *notebook) count(kind string) (c int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, k := range n.kinds {
		if k == kind {
			c++
		}
	}
	return c
}

// site is a database with accounts, whose clock a test moves.
type site struct {
	*Accounts
	book    *notebook
	time    time.Time
	notices []Notice
}

// cheap is a cost for tests.
var cheap = Cost{KiB: 8, Passes: 1}

func newSite(t *testing.T) *site {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(t.TempDir(), "cordon.db"), []store.Migrations{Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &site{book: &notebook{}, time: time.Now()}
	s.Accounts, err = Open(t.Context(), db, s.book, Options{Cost: cheap, Notice: func(n Notice) { s.notices = append(s.notices, n) }})
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return s.time }
	return s
}

const good = "four words of one's own"

var by = custody.Request{By: "A. Able", Reason: "r"}

// first makes the first administrator.
func (s *site) first(t *testing.T) Identity {
	t.Helper()
	l, err := s.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Join(t.Context(), l.Secret, "A. Able", Proof{Password: good}, Origin{Address: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	return s.who(t, e.Secret)
}

// person makes somebody with roles, signed in.
func (s *site) person(t *testing.T, name string, c Change) (Identity, Entry) {
	t.Helper()
	_, l, err := s.Invite(t.Context(), name, c, by)
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Join(t.Context(), l.Secret, "", Proof{Password: good}, Origin{Address: "192.0.2.2"})
	if err != nil {
		t.Fatal(err)
	}
	return s.who(t, e.Secret), e
}

func (s *site) who(t *testing.T, secret string) Identity {
	t.Helper()
	id, err := s.Session(t.Context(), secret, false)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSetupLinkIsUsedOnce(t *testing.T) {
	s := newSite(t)
	l, err := s.SetupLink(t.Context())
	if err != nil || s.Exist() {
		t.Fatal(err, s.Exist())
	}
	results := make(chan error, 8)
	for i := range 8 {
		go func() {
			_, err := s.Join(t.Context(), l.Secret, fmt.Sprintf("Person %d", i), Proof{Password: good}, Origin{})
			results <- err
		}()
	}
	won := 0
	for range 8 {
		if err := <-results; err == nil {
			won++
		} else if !errors.Is(err, ErrDenied) {
			t.Error(err)
		}
	}
	if won != 1 || !s.Exist() {
		t.Errorf("%d won", won)
	}
	if _, err := s.SetupLink(t.Context()); !errors.Is(err, ErrState) {
		t.Error("another set-up link:", err)
	}
}

func TestLinksExpire(t *testing.T) {
	s := newSite(t)
	l, _ := s.SetupLink(t.Context())
	s.time = s.time.Add(SetupTerm)
	if _, err := s.Join(t.Context(), l.Secret, "A. Able", Proof{Password: good}, Origin{}); !errors.Is(err, ErrDenied) || s.Exist() {
		t.Error(err)
	}
}

func TestNoTwoPeopleLookAlike(t *testing.T) {
	s := newSite(t)
	s.first(t)
	for _, name := range []string{"a able", "Á. ABLE", "A.\u200bAble", "(A) Able!"} {
		if _, _, err := s.Invite(t.Context(), name, Change{Roles: []Role{PACS}}, by); !errors.Is(err, ErrState) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestSessionEnds(t *testing.T) {
	s := newSite(t)
	s.first(t)
	_, e := s.person(t, "B. Best", Change{Roles: []Role{PACS}})
	s.time = s.time.Add(DefaultIdle - time.Second)
	s.who(t, e.Secret)
	if err := s.db.Update(t.Context(), func(*store.Tx) error { return nil }); err != nil { // what was written later is written
		t.Fatal(err)
	}
	s.time = s.time.Add(DefaultIdle - time.Second)
	if _, err := s.Session(t.Context(), e.Secret, true); err != nil {
		t.Fatal("somebody was there:", err)
	}
	s.time = s.time.Add(2 * time.Second)
	if _, err := s.Session(t.Context(), e.Secret, false); !errors.Is(err, ErrDenied) {
		t.Error("a page that asks by itself keeps the session:", err)
	}
	e, err := s.SignIn(t.Context(), "b best", good, Origin{})
	if err != nil {
		t.Fatal(err)
	}
	for range int(DefaultAbsolute/(10*time.Minute)) - 1 {
		s.time = s.time.Add(10 * time.Minute)
		s.who(t, e.Secret)
		s.db.Update(t.Context(), func(*store.Tx) error { return nil })
	}
	s.time = s.time.Add(11 * time.Minute)
	if _, err := s.Session(t.Context(), e.Secret, false); !errors.Is(err, ErrDenied) {
		t.Error("past twelve hours:", err)
	}
}

func TestSecretIsRenewedWhenSomebodySaysAgainWhoTheyAre(t *testing.T) {
	s := newSite(t)
	s.first(t)
	_, e := s.person(t, "B. Best", Change{Roles: []Role{PACS}})
	s.time = s.time.Add(6 * time.Minute)
	id := s.who(t, e.Secret)
	if id.Fresh(s.time) {
		t.Error("fresh after six minutes")
	}
	if _, err := s.Again(t.Context(), id, "wrong", Origin{}); !errors.Is(err, ErrDenied) {
		t.Error(err)
	}
	again, err := s.Again(t.Context(), id, good, Origin{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Session(t.Context(), e.Secret, false); !errors.Is(err, ErrDenied) {
		t.Error("the old secret is still good:", err)
	}
	if id := s.who(t, again.Secret); !id.Fresh(s.time) {
		t.Error("not fresh")
	}
}

func TestWhoIsDisabledIsOut(t *testing.T) {
	s := newSite(t)
	admin := s.first(t)
	id, e := s.person(t, "B. Best", Change{Roles: []Role{PACS}})
	_, secret, err := s.MakeToken(t.Context(), id, "x", []Permission{FlowRead}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Disable(t.Context(), "B. Best", by); err != nil {
		t.Fatal(err)
	}
	_, err = s.Session(t.Context(), e.Secret, false)
	_, err2 := s.Token(t.Context(), secret)
	_, err3 := s.SignIn(t.Context(), "B. Best", good, Origin{})
	for _, err := range []error{err, err2, err3} {
		if !errors.Is(err, ErrDenied) {
			t.Error(err)
		}
	}
	if _, err := s.Disable(t.Context(), admin.Name, by); !errors.Is(err, ErrState) {
		t.Error("the last administrator is gone:", err)
	}
	if _, err := s.Roles(t.Context(), admin.Name, Change{Roles: []Role{Auditor}}, by); !errors.Is(err, ErrState) {
		t.Error("the last administrator is none:", err)
	}
}

func TestRolesChangeEndsSessions(t *testing.T) {
	s := newSite(t)
	s.first(t)
	_, e := s.person(t, "B. Best", Change{Roles: []Role{PACS}})
	if _, err := s.Roles(t.Context(), "B. Best", Change{Roles: []Role{Auditor}}, by); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Session(t.Context(), e.Secret, false); !errors.Is(err, ErrDenied) {
		t.Error(err)
	}
}

func TestRolesThatCannotBe(t *testing.T) {
	for _, c := range []Change{{}, {Roles: []Role{"king"}}, {Roles: []Role{Vendor}}, {Roles: []Role{Vendor, PACS}, Products: []string{"ACME"}}, {Roles: []Role{PACS}, Products: []string{"ACME"}}} {
		if err := c.check(); !errors.Is(err, ErrRequest) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestVendorSeesOwnProducts(t *testing.T) {
	id := Identity{Name: "V", Roles: []Role{Vendor}, Products: []string{"ACME", "Other/MR 7"}}
	for _, c := range []struct {
		vendor, model string
		sees          bool
	}{{"acme", "CT 1", true}, {"Other", "mr 7", true}, {"Other", "MR 8", false}, {"Third", "", false}, {"", "", false}, {"ACMEX", "", false}} {
		if id.Sees(c.vendor, c.model) != c.sees {
			t.Errorf("%+v", c)
		}
	}
	if !(Identity{Name: "B", Roles: []Role{Biomed}}).Sees("Third", "") {
		t.Error("a biomedical engineer sees not all")
	}
}

func TestTokenMayNoMoreThanItsOwner(t *testing.T) {
	s := newSite(t)
	s.first(t)
	id, _ := s.person(t, "B. Best", Change{Roles: []Role{Biomed}})
	for _, scopes := range [][]Permission{nil, {HeldRead}, {FlowRead, PeopleChange}, {SignedIn}, {Anybody}, {"x"}} {
		if _, _, err := s.MakeToken(t.Context(), id, "x", scopes, time.Hour); !errors.Is(err, ErrRequest) {
			t.Errorf("%v: %v", scopes, err)
		}
	}
	for _, term := range []time.Duration{0, -1, MaxToken + 1} {
		if _, _, err := s.MakeToken(t.Context(), id, "x", []Permission{FlowRead}, term); !errors.Is(err, ErrRequest) {
			t.Errorf("%v: %v", term, err)
		}
	}
	_, secret, err := s.MakeToken(t.Context(), id, "x", []Permission{FlowRead, DeviceChange}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	who, err := s.Token(t.Context(), secret)
	if err != nil || !who.May(DeviceChange) || who.May(AlarmRead) {
		t.Error(who, err)
	}
	if _, _, err := s.MakeToken(t.Context(), who, "x", []Permission{FlowRead}, time.Hour); !errors.Is(err, ErrRequest) {
		t.Error("a token made a token:", err)
	}
	if _, err := s.Roles(t.Context(), "B. Best", Change{Roles: []Role{Auditor}}, by); err != nil {
		t.Fatal(err)
	}
	if who, err = s.Token(t.Context(), secret); err != nil || who.May(DeviceChange) || !who.May(FlowRead) {
		t.Error("the token kept what its owner lost:", who, err)
	}
	s.time = s.time.Add(time.Hour)
	if _, err := s.Token(t.Context(), secret); !errors.Is(err, ErrDenied) {
		t.Error("it lasts for ever:", err)
	}
}

func TestRecoveryEndsWhatWas(t *testing.T) {
	s := newSite(t)
	s.first(t)
	id, e := s.person(t, "B. Best", Change{Roles: []Role{Biomed}})
	_, secret, err := s.MakeToken(t.Context(), id, "x", []Permission{FlowRead}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Recover(t.Context(), "B. Best", by)
	if err != nil || len(s.notices) != 1 {
		t.Fatal(err, s.notices)
	}
	const other = "quite another sentence"
	if _, err := s.Join(t.Context(), l.Secret, "Somebody Else", Proof{Password: other}, Origin{}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Session(t.Context(), e.Secret, false)
	_, err2 := s.Token(t.Context(), secret)
	_, err3 := s.SignIn(t.Context(), "B. Best", good, Origin{})
	for _, err := range []error{err, err2, err3} {
		if !errors.Is(err, ErrDenied) {
			t.Error(err)
		}
	}
	if e, err := s.SignIn(t.Context(), "B. Best", other, Origin{}); err != nil || e.Account.Name != "B. Best" {
		t.Error(e.Account, err)
	}
}

func TestRoleTakenInAnEmergency(t *testing.T) {
	s := newSite(t)
	s.first(t)
	id, e := s.person(t, "B. Best", Change{Roles: []Role{Biomed}})
	for _, c := range []struct {
		role   Role
		term   time.Duration
		reason string
	}{{Administrator, time.Hour, "r"}, {Biomed, time.Hour, "r"}, {PACS, 2 * time.Hour, "r"}, {PACS, time.Hour, ""}} {
		if _, err := s.Break(t.Context(), id, c.role, c.term, c.reason); err == nil {
			t.Errorf("%+v was possible", c)
		}
	}
	g, err := s.Break(t.Context(), id, PACS, time.Hour, "nobody of the PACS team answers")
	if err != nil || len(s.notices) != 1 || s.book.count("person.glass") != 1 {
		t.Fatal(err, s.notices)
	}
	if !s.who(t, e.Secret).May(HeldDecide) {
		t.Error("the role was not taken")
	}
	if _, err := s.Break(t.Context(), s.who(t, e.Secret), Security, time.Hour, "r"); !errors.Is(err, ErrState) {
		t.Error("a second one:", err)
	}
	if _, _, err := s.MakeToken(t.Context(), s.who(t, e.Secret), "x", []Permission{HeldDecide}, time.Hour); !errors.Is(err, ErrRequest) {
		t.Error("a token outlives the emergency:", err)
	}
	if _, err := s.Review(t.Context(), g.ID, custody.Request{By: "b best", Reason: "r"}); !errors.Is(err, custody.ErrSamePerson) {
		t.Error("reviewed by the same person:", err)
	}
	s.time = s.time.Add(time.Hour)
	e, err = s.SignIn(t.Context(), "B. Best", good, Origin{})
	if err != nil || s.who(t, e.Secret).May(HeldDecide) {
		t.Error("it has no end:", err)
	}
	if err := s.keepHouse(t.Context(), true); err != nil || s.book.count("person.glass_ended") != 1 {
		t.Error(err)
	}
	s.time = s.time.Add(24 * time.Hour)
	if late, err := s.Overdue(t.Context()); err != nil || len(late) != 1 {
		t.Error(late, err)
	}
	if _, err := s.Review(t.Context(), g.ID, by); err != nil {
		t.Error(err)
	}
	if late, err := s.Overdue(t.Context()); err != nil || len(late) != 0 {
		t.Error(late, err)
	}
}

func TestNameFromElsewhereStaysTheFirst(t *testing.T) {
	s := newSite(t)
	w := Elsewhere{Issuer: "https://id", Subject: "1", Name: "C. Clark", Roles: []Role{PACS}}
	if _, err := s.EnterFrom(t.Context(), Identity{}, w, Origin{}); !errors.Is(err, ErrDenied) {
		t.Error("the first account came from elsewhere:", err)
	}
	s.first(t)
	if _, err := s.EnterFrom(t.Context(), Identity{}, Elsewhere{Issuer: "https://id", Subject: "2", Name: "A. Able", Roles: []Role{PACS}}, Origin{}); !errors.Is(err, ErrState) {
		t.Error("somebody else's name:", err)
	}
	e, err := s.EnterFrom(t.Context(), Identity{}, w, Origin{})
	if err != nil || s.who(t, e.Secret).Fresh(s.time) {
		t.Fatal(err, "or fresh, without the issuer's word for it")
	}
	w.Name, w.Roles, w.At = "A. Able", []Role{Auditor}, s.time
	e, err = s.EnterFrom(t.Context(), Identity{}, w, Origin{})
	if id := s.who(t, e.Secret); err != nil || id.Name != "C. Clark" || !slices.Equal(id.Roles, []Role{Auditor}) || !id.Fresh(s.time) {
		t.Error(id, err)
	}
	w.Roles = nil
	if _, err := s.EnterFrom(t.Context(), Identity{}, w, Origin{}); !errors.Is(err, ErrDenied) {
		t.Error("no group, and let in:", err)
	}
	if _, err := s.SignIn(t.Context(), "C. Clark", "", Origin{}); !errors.Is(err, ErrDenied) {
		t.Error("an account without a password was opened without one:", err)
	}
}

func TestSecretsAreNowhere(t *testing.T) {
	s := newSite(t)
	s.first(t)
	id, e := s.person(t, "B. Best", Change{Roles: []Role{PACS}})
	_, token, err := s.MakeToken(t.Context(), id, "x", []Permission{FlowRead}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Recover(t.Context(), "B. Best", by)
	if err != nil {
		t.Fatal(err)
	}
	s.SignIn(t.Context(), "my password by mistake", "x", Origin{Address: "192.0.2.9"})
	if err := s.keepHouse(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	var dump strings.Builder
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := s.db.Snapshot(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	dump.WriteString(s.book.all)
	raw := readFile(t, path)
	for what, secret := range map[string]string{"password": good, "session": e.Secret, "browser": e.Browser, "token": token, "link": l.Secret, "what was typed": "by mistake"} {
		if strings.Contains(dump.String(), secret) || strings.Contains(raw, secret) {
			t.Errorf("the %s is in the journal or the database", what)
		}
	}
	if s.book.count("person.failed") != 1 {
		t.Error(s.book.all)
	}
}
