package engine

import (
	"testing"

	"cordon/finding"
)

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"unix:/run/clamav/clamd.ctl": true, "tcp:127.0.0.1:3310": true, "clam.example:3310": true, "[::1]:3310": true,
		"": false, "unix:": false, "unix:clamd.ctl": false, "127.0.0.1": false, "tcp:host": false, "host:": false,
		"unx:/run/clamav/clamd.ctl": false, "host:clamd": false, "host:65536": false, ":3310": false,
	} {
		if err := (ClamdConfig{Address: address}).Validate(); (err == nil) != ok {
			t.Errorf("clamd %q: %v", address, err)
		}
	}
	for url, ok := range map[string]bool{
		"icap://127.0.0.1:1344/avscan": true, "icap://av.example/scan?x=1": true, "icap://[::1]/echo": true,
		"": false, "http://av.example/": false, "icap:///x": false, "icap://user:secret@av.example/": false, "icap://a b/": false,
	} {
		if err := (ICAPConfig{URL: url}).Validate(); (err == nil) != ok {
			t.Errorf("icap %q: %v", url, err)
		}
	}
}

// An engine that is set up wrongly scans nothing, and says so.
func TestWrongAddressIsUnscanned(t *testing.T) {
	for _, e := range []scanner{NewClamd(ClamdConfig{Address: "nowhere"}), NewICAP(ICAPConfig{URL: "nowhere"})} {
		mustBe(t, scan(t, e, "x"), finding.Unscanned, "expected")
		if s := e.State(t.Context()); s.Up || s.Error == "" {
			t.Errorf("state %+v", s)
		}
	}
}

// What is known to be too large is not even announced.
func TestTooLargeIsNotSent(t *testing.T) {
	for _, e := range []scanner{NewClamd(ClamdConfig{Address: "127.0.0.1:1", MaxStream: 3}), NewICAP(ICAPConfig{URL: "icap://127.0.0.1:1/x", MaxBody: 3})} {
		mustBe(t, scan(t, e, "1234"), finding.Unscanned, errTooLarge.Error())
		mustBe(t, scan(t, e, "123"), finding.Unscanned, "connecting to")
	}
}
