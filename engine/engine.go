// Package engine asks outside scanners about pieces of objects: clamd over its own protocol, and anti-virus gateways
// over ICAP (RFC 3507). The answer is one of three, and they are kept apart: clean, malicious, not scanned.
//
// Ordinary use:
//
//	clamd := engine.NewClamd(engine.ClamdConfig{Address: "unix:/run/clamav/clamd.ctl"})
//	answer := clamd.Scan(ctx, bytes.NewReader(piece), int64(len(piece)))
//	if answer.Result == finding.ResultMalicious { … } // answer.Detail names the signature
//	state := clamd.State(ctx)                         // up? which signatures, how old?
//	cache := engine.NewCache(10000, time.Hour)        // identical pieces are asked about once
//
// # Life of a scan
//
// A piece that is known to be over the limit is not scanned, and nothing is sent. Otherwise the scan waits for one of
// the engine's seats (Connections), learns the signatures if what it knows is older than ten seconds, and streams the
// piece. Only a piece that was sent from its first byte to its last, whose declared size is the size that was sent, and
// about which the engine gave the exact answer of its protocol for "nothing found" is clean. A named hit is malicious.
// All else is not scanned: an engine that is down, slow, over a limit of its own or ours, answers early, answers
// something else, or goes away; a piece that could not be read. Timeout bounds the whole, waiting included, and the
// caller's context may end it earlier. The signatures of an answer are those known before the piece was sent: they may
// be older than those used, never newer.
//
// Nothing here decides what becomes of an object, keeps a piece, or starts a scanner. A scan reads its piece once and
// cannot interrupt that reader: it must not block. TLS to an engine (icaps) is not spoken; keep engines on the machine
// or on a network of their own. Details never quote the piece, and quote of an engine only a signature's name.
package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"cordon/finding"
)

const (
	defaultTimeout     = 10 * time.Second
	defaultLimit       = 25 << 20 // bytes of one piece
	largestLimit       = 2000 << 20
	defaultConnections = 8
	fresh              = 10 * time.Second // for how long what an engine said of itself is believed
	longestName        = 128              // bytes of a signature's name
)

// State is what an engine says of itself.
type State struct {
	Name         string    // "clamd", "icap"
	Up           bool      // it answered just now
	Error        string    // why it is not up; empty if it is
	Warning      string    // what its operator should change; empty if nothing is known
	Signatures   string    // version of its signatures, in its own words
	SignaturesAt time.Time // when they were made; zero if the engine does not say
}

// Why a piece was not scanned though the engine did nothing wrong.
var (
	errTooLarge   = errors.New("larger than the limit for this engine")
	errPartial    = errors.New("the piece is not of the size that was declared")
	errUnreadable = errors.New("the piece could not be read to its end")
)

// settings are what both kinds of engine share.
type settings struct {
	timeout     time.Duration
	limit       int64
	connections int
}

// newSettings puts defaults where nothing, or nonsense, is set.
func newSettings(timeout time.Duration, limit int64, connections int) settings {
	s := settings{timeout, min(limit, largestLimit), connections}
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	if s.limit <= 0 {
		s.limit = defaultLimit
	}
	if s.connections <= 0 {
		s.connections = defaultConnections
	}
	return s
}

// limitNames begin the names under which ClamAV alerts when it gave up on a limit of its own (AlertExceedsMax). Nothing
// was found, and not everything was looked at.
const limitNames = "Heuristics.Limits.Exceeded"

const noName = "a signature without a printable name"

// named is the answer to a hit: malicious under that name, or not scanned if the name says that a limit was met.
func named(name string) (finding.Result, string) {
	name = printable(name)
	if strings.HasPrefix(name, limitNames) {
		return finding.Unscanned, "the engine met a limit of its own: " + name
	}
	return finding.ResultMalicious, name
}

// printable returns the name of a signature if it can be shown. A hit whose name cannot is still a hit.
func printable(name string) string {
	odd := func(r rune) bool { return r < ' ' || r > '~' }
	if name == "" || len(name) > longestName || strings.ContainsFunc(name, odd) {
		return noName
	}
	return name
}

// reason says why talking to an engine failed. It names times and addresses only.
func reason(ctx context.Context, doing string, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: given up by the caller", doing)
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no time left", doing)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
