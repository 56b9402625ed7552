package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/dicom"
)

// escaped is a value in a query (RFC 3986 §3.4): what may stand there for itself
// does, the wildcards among it, since some servers do not decode the rest.
func escaped(value string) string {
	var b strings.Builder
	for i := range len(value) {
		if c := value[i]; isUnreserved(c) || strings.IndexByte("*?,:/@!$'()", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-._~", c) >= 0
}

// verbatim is a value for a server that takes a query as it is written, without
// decoding it (Orthanc 1.10 with its plugin 1.7): every character for itself but those that
// would end the value, or that HTTP does not have there. These become wildcards, which may match
// more and never less: of ASCII for one character, others for any, since such a server may count bytes. Where
// the VR has no wildcards they are escaped all the same.
func verbatim(vr dicom.VR, value string) string {
	if !hasWildcards(vr) {
		return escaped(value)
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r > '~':
			return '*'
		case r <= ' ' || strings.ContainsRune(`#&%+"`, r):
			return '?'
		}
		return r
	}, value)
}

// hasWildcards tells whether a key may have "*" and "?" (PS3.4 §C.2.2.2.4).
func hasWildcards(vr dicom.VR) bool {
	switch vr {
	case dicom.AE, dicom.CS, dicom.LO, dicom.LT, dicom.PN, dicom.SH, dicom.ST, dicom.UC, dicom.UR, dicom.UT:
		return true
	}
	return false
}

// dialect is what was learned of how an archive reads queries. Whoever has to know
// it first tries it out; others wait for that, each as long as it likes.
type dialect struct {
	mu      sync.Mutex
	learned time.Time
	plain   bool   // it does not decode them
	trial   *trial // under way; nil: none
}

// trial is what comes of trying.
type trial struct {
	done  chan struct{} // closed when the rest is set
	plain bool
	err   error
	gone  bool // whoever tried was gone before the archive answered
}

// dialectAge is how long that counts: an archive may be replaced.
const dialectAge = time.Hour

// rawQuery is the query as this archive reads it, and which of its matches are
// meant: those of a verbatim query may be too many. If that matters and is not known,
// it is tried out first.
func (c *Client) rawQuery(ctx context.Context, q Query) (raw string, meant func(DataSet) bool, err error) {
	raw, meant = q.RawQuery(), func(DataSet) bool { return true }
	if !strings.Contains(raw, "%") {
		return raw, meant, nil
	}
	plain, err := c.readsPlainly(ctx)
	if err != nil || !plain {
		return raw, meant, err
	}
	return q.rawQuery(verbatim), q.meant, nil
}

// meant reports whether a match has what keys asked for that had to become wider.
// Cases are not told apart. What cannot be looked at passes.
func (q Query) meant(d DataSet) bool {
	for _, m := range q.Matches {
		vr := standardVR(m.Path[len(m.Path)-1])
		if len(m.Path) > 1 || !hasWildcards(vr) || verbatim(vr, m.Value) == m.Value {
			continue
		}
		e := d.Find(m.Path[0])
		if e != nil && !slices.ContainsFunc(candidates(e), func(s string) bool { return like(strings.ToLower(m.Value), strings.ToLower(s)) }) {
			return false
		}
	}
	return true
}

// candidates are what a key may match: the values, of names their component groups as well.
func candidates(e *Element) []string {
	out := e.texts()
	if e.VR == dicom.PN {
		for _, name := range e.texts() {
			out = append(out, strings.Split(name, "=")...)
		}
	}
	return out
}

// like matches with the wildcards "*" and "?" (PS3.4 §C.2.2.2.4).
func like(pattern, text string) bool {
	p, s := []rune(pattern), []rune(text)
	i, star, from := 0, -1, 0
	for j := 0; j < len(s); {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == s[j]):
			i++
			j++
		case star >= 0: // the last star takes one more
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(string(p[i:]), "*") == ""
}

// readsPlainly reports whether the archive does not decode queries.
func (c *Client) readsPlainly(ctx context.Context) (bool, error) {
	for {
		t, mine := c.dialect.claim()
		if mine {
			t.plain, t.err = c.tryOut(ctx)
			t.gone = ctx.Err() != nil
			c.dialect.settle(t)
		}
		select {
		case <-t.done:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
		if mine || !t.gone {
			return t.plain, t.err
		}
	}
}

// claim is what is known, or the trial under way; the caller's own if there is none.
func (d *dialect) claim() (t *trial, mine bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.learned.IsZero() && time.Since(d.learned) < dialectAge:
		t = &trial{done: make(chan struct{}), plain: d.plain}
		close(t.done)
		return t, false
	case d.trial != nil:
		return d.trial, false
	}
	d.trial = &trial{done: make(chan struct{})}
	return d.trial, true
}

func (d *dialect) settle(t *trial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trial = nil
	close(t.done)
}

// tryOut asks whether the archive finds a study that it has, and whether also by its
// UID with the first digit escaped.
func (c *Client) tryOut(ctx context.Context) (bool, error) {
	known, err := c.firstStudy(ctx, "limit=1")
	if err != nil || known.Validate() != nil {
		return false, unlessAnswered(err)
	}
	found, err := c.firstStudy(ctx, fmt.Sprintf("%v=%%%02X%s&limit=1", Path{dicom.TagStudyInstanceUID}, known[0], known[1:]))
	if err != nil {
		return false, unlessAnswered(err)
	}
	c.dialect.mu.Lock()
	defer c.dialect.mu.Unlock()
	c.dialect.learned, c.dialect.plain = time.Now(), found != known
	return c.dialect.plain, nil
}

var errEnough = errors.New("no more is wanted")

// firstStudy is the first study that a search finds, or empty.
func (c *Client) firstStudy(ctx context.Context, raw string) (study dicom.UID, err error) {
	_, err = c.query(ctx, Resource{Kind: KindStudies}, raw, func(d DataSet) error {
		study = d.UID(dicom.TagStudyInstanceUID)
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return study, err
}

// unlessAnswered is err, unless the archive answered: that it does not say is no
// reason not to ask what was to be asked.
func unlessAnswered(err error) error {
	var answered *AnswerError
	if errors.As(err, &answered) && !errors.Is(err, ErrAway) {
		return nil
	}
	return err
}
