package custody_test

import (
	"bytes"
	"errors"
	"testing"

	"cordon/custody"
)

func TestSealedTextIsSecretAndComesBack(t *testing.T) {
	s := open(t, t.TempDir())
	plain := noise(3000)
	sealed, err := s.c.Seal(plain)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, plain[:16]) {
		t.Error("not encrypted")
	}
	if got, err := s.c.Unseal(sealed); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("unsealed: %v", err)
	}
	sealed[len(sealed)-20] ^= 1
	if _, err := s.c.Unseal(sealed); !errors.Is(err, custody.ErrDamaged) {
		t.Errorf("damaged: %v", err)
	}
	other := open(t, t.TempDir())
	if _, err := other.c.Unseal(sealed); !errors.Is(err, custody.ErrDamaged) {
		t.Errorf("another key: %v", err)
	}
}

func TestPlacesSayWhereEachInstanceIs(t *testing.T) {
	s := open(t, t.TempDir())
	for instance, state := range map[string]custody.State{"2.25.1": custody.Held, "2.25.2": custody.Spooled} {
		o := spooled("2.25.99")
		o.State, o.SOPInstanceUID, o.Device, o.CallingAE = state, instance, "ct-1", "CT1"
		s.keep(t, noise(100), o)
	}
	places, err := s.c.Places(t.Context(), []string{"2.25.1", "2.25.2", "2.25.3", `"] OR 1=1 --`})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]custody.State{}
	for _, p := range places {
		got[p.SOPInstanceUID] = p.State
		if p.Device != "ct-1" || p.CallingAE != "CT1" || p.Archive == "" {
			t.Errorf("%+v", p)
		}
	}
	if len(places) != 2 || got["2.25.1"] != custody.Held || got["2.25.2"] != custody.Spooled {
		t.Errorf("%+v", places)
	}
}
