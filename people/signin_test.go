package people

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCheckPassword(t *testing.T) {
	for _, bad := range []string{
		"", "short", "elevenchars", "password1234", "Passw0rd!2026", "P4ssw0rdP4ssw0rd", "qwertyuiop12", "123456789012", "aaaaaaaaaaaa", "abcdefghijkl",
		"Welcome2026!!", "hospital-2026", "radiology1234", "Sommer2026!!!", "letmeinletmein", "aabbccaabbcc", "b.best-2026!!", "B Best 123456", "with\ttabulator1",
		"\xff\xfe0123456789", strings.Repeat("long and ", 200),
	} {
		if err := CheckPassword("B. Best", bad); !errors.Is(err, ErrRequest) {
			t.Errorf("%.40q is taken: %v", bad, err)
		}
	}
	for _, fine := range []string{good, "correct horse battery stapler gown", "zwölf Boxkämpfer jagen Viktor", "пример хорошего пароля", "kX9#vLm2@qRt", "山田さんの好きな長い合言葉です"} {
		if err := CheckPassword("B. Best", fine); err != nil {
			t.Errorf("%q: %v", fine, err)
		}
	}
}

func TestHashSaysWhatItCost(t *testing.T) {
	hash, err := cheap.hash(good)
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Fatal(hash, err)
	}
	if ok, cost, err := fits(good, hash); !ok || cost != cheap || err != nil {
		t.Error(ok, cost, err)
	}
	if ok, _, err := fits("another", hash); ok || err != nil {
		t.Error(ok, err)
	}
	for _, bad := range []string{"", "$", "$argon2i$v=19$m=8,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=99999999,t=1,p=1$AAAAAAAAAAAA$AAAA", "$argon2id$v=19$m=8,t=0,p=1$AAAAAAAAAAAAAA$AAAA", strings.Replace(hash, "v=19", "v=16", 1), hash[:len(hash)-4]} {
		if ok, _, err := fits(good, bad); ok || err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA")
	f.Fuzz(func(t *testing.T, hash string) {
		if strings.Contains(hash, "m=") && !strings.Contains(hash, "m=8,t=1,") {
			return // costs what it says
		}
		if ok, _, _ := fits("x", hash); ok {
			t.Error(hash)
		}
	})
}

func TestHashIsMadeAnewWhenItCostsMore(t *testing.T) {
	s := newSite(t)
	s.first(t)
	s.options.Cost = Cost{KiB: 16, Passes: 1}
	if _, err := s.SignIn(t.Context(), "A. Able", good, Origin{}); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Close(); err != nil { // runs what is to be written later
		t.Fatal(err)
	}
}

// Wrong guesses make who guesses wait, and nobody else.
func TestWhoGuessesWaits(t *testing.T) {
	s := newSite(t)
	s.first(t)
	_, e := s.person(t, "B. Best", Change{Roles: []Role{PACS}})
	attacker, own := Origin{Address: "198.51.100.7"}, Origin{Address: "192.0.2.2"}
	var wait *Wait
	tries := 0
	for range 200 {
		_, err := s.SignIn(t.Context(), "B. Best", "guess", attacker)
		if errors.As(err, &wait) {
			s.time = s.time.Add(time.Second)
			continue
		}
		if !errors.Is(err, ErrDenied) {
			t.Fatal(err)
		}
		tries++
	}
	if tries > 15 {
		t.Errorf("%d guesses in some minutes", tries)
	}
	if _, err := s.SignIn(t.Context(), "B. Best", good, attacker); !errors.As(err, &wait) || wait.For > 2*time.Minute {
		t.Error("at the attacker's address even what is right waits, and not long:", err)
	}
	if _, err := s.SignIn(t.Context(), "B. Best", good, own); err != nil {
		t.Error("somebody else's guesses keep B. Best out:", err)
	}
	if _, err := s.SignIn(t.Context(), "B. Best", good, Origin{Address: attacker.Address, Browser: e.Browser}); err != nil {
		t.Error("a browser that is known waits:", err)
	}
	s.time = s.time.Add(2 * time.Minute)
	if _, err := s.SignIn(t.Context(), "B. Best", good, attacker); err != nil {
		t.Error("locked for good:", err)
	}
}

// Guesses from very many addresses hold up each address that guessed, and a person
// at an address of their own never.
func TestGuessesFromEverywhereLockNobodyOut(t *testing.T) {
	s := newSite(t)
	s.first(t)
	s.person(t, "B. Best", Change{Roles: []Role{PACS}})
	for i := range 500 {
		s.SignIn(t.Context(), "B. Best", "guess", Origin{Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250)})
	}
	if _, err := s.SignIn(t.Context(), "B. Best", good, Origin{Address: "192.0.2.2"}); err != nil {
		t.Error(err)
	}
	var wait *Wait
	if _, err := s.SignIn(t.Context(), "B. Best", "guess", Origin{Address: "10.0.0.1"}); !errors.As(err, &wait) {
		t.Error("a second guess at once:", err)
	}
}

// A stolen browser's secret is no way around waiting.
func TestKnownBrowserWaitsForItself(t *testing.T) {
	s := newSite(t)
	s.first(t)
	_, e := s.person(t, "B. Best", Change{Roles: []Role{PACS}})
	var wait *Wait
	for range 12 {
		_, err := s.SignIn(t.Context(), "B. Best", "guess", Origin{Address: "198.51.100.7", Browser: e.Browser})
		if errors.As(err, &wait) {
			return
		}
	}
	t.Error("twelve guesses and no wait")
}

func TestWaitsAreBounded(t *testing.T) {
	d := newDelays()
	now := time.Now()
	for i := range maxDelays + 5000 {
		d.wrong(now.Add(time.Duration(i)*time.Millisecond), delayKeys(fmt.Sprint(i), Origin{Address: fmt.Sprintf("10.%d.%d.1", i/250%250, i%250)}, false))
	}
	if len(d.all) > maxDelays {
		t.Error(len(d.all))
	}
}

// However many try at once, few passwords are tried at a time, and few wait.
func TestFloodOfLogInsIsBounded(t *testing.T) {
	h := newHasher()
	var now, most, busy atomic.Int32
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			err := h.do(t.Context(), func() error {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(2 * time.Millisecond)
				now.Add(-1)
				return nil
			})
			if errors.Is(err, ErrBusy) {
				busy.Add(1)
			}
		})
	}
	wg.Wait()
	if most.Load() > hashing || busy.Load() == 0 {
		t.Error(most.Load(), busy.Load())
	}
}
