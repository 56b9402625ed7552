package atna

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestEveryRecordArrivesInOrder(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a).open(), newSite(t)
	s.send(tlsTarget(r, a))
	s.note(1000)
	s.complete(r)
	last := -1
	for _, m := range r.got() {
		if _, rest, ok := strings.Cut(m, `UserID="n`); ok {
			digits, _, _ := strings.Cut(rest, `"`)
			n, _ := strconv.Atoi(digits)
			if n != last+1 {
				t.Fatalf("%d after %d", n, last)
			}
			last = n
		}
	}
	await(t, "the status", func() bool { st := s.status(); return st.Up && st.Waiting == 0 && st.Oldest.IsZero() })
	if first := r.got()[0]; !strings.Contains(first, `originalText="Application Start"`) || !strings.HasPrefix(first, "<85>1 ") {
		t.Errorf("the first message is %s", first)
	}
}

func TestRepositoryAwayLosesNothing(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a), newSite(t)
	s.send(tlsTarget(r, a))
	s.note(50)
	await(t, "the alarm", func() bool { st := s.status(); return st.Alarm && !st.Up && st.Error != "" && st.Waiting > 50 })
	await(t, "the record of the alarm", func() bool {
		away := s.audit.repositories[0]
		away.mu.Lock()
		defer away.mu.Unlock()
		return away.told
	})
	r.open()
	s.note(50)
	s.complete(r)
	await(t, "the end of the alarm", func() bool { st := s.status(); return st.Up && !st.Alarm && st.Waiting == 0 })
	await(t, "records of the outage", func() bool {
		all := strings.Join(r.got(), "")
		return strings.Contains(all, "REPOSITORY-AWAY") && strings.Contains(all, "REPOSITORY-BACK")
	})
}

// A repository that dies takes with it what its machine had acknowledged and it
// had not read: that comes again.
func TestRepositoryKilledAgainAndAgainLosesNothing(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a).open(), newSite(t)
	s.send(tlsTarget(r, a))
	for range 8 {
		s.note(40)
		time.Sleep(30 * time.Millisecond)
		r.close()
		r.open()
	}
	s.complete(r)
}

func TestResetInMidFrameLosesNothing(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a), newSite(t)
	s.note(200)
	for _, cut := range []int{1, 2, 3, 500, 5000, 50001} {
		r.mu.Lock()
		r.cutAfter = cut
		r.mu.Unlock()
		if r.listener == nil {
			r.open()
			s.send(tlsTarget(r, a))
		}
		await(t, "a session of "+strconv.Itoa(cut)+" bytes", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.cutAfter == 0 })
		s.note(10)
	}
	s.complete(r)
	for _, m := range r.got() {
		if !strings.HasPrefix(m, "<85>1 ") || !strings.HasSuffix(m, "</AuditMessage>") {
			t.Fatalf("not a whole message: %q", m)
		}
	}
}

func TestExpiredCertificateIsSaidAndMended(t *testing.T) {
	for _, whose := range []string{"repository", "ours"} {
		t.Run(whose, func(t *testing.T) {
			a := newAuthority(t)
			r, s := newRecorder(t, a), newSite(t)
			good := tlsTarget(r, a)
			expired := []tls.Certificate{a.pair(time.Now().Add(-time.Hour))}
			var mu sync.Mutex
			mended := false
			target := good
			if whose == "repository" {
				r.config.Certificates = expired
			} else {
				target.TLS = func() *tls.Config {
					mu.Lock()
					defer mu.Unlock()
					if mended {
						return good.TLS()
					}
					return &tls.Config{Certificates: expired, RootCAs: a.pool}
				}
			}
			r.open()
			s.send(target)
			s.note(20)
			await(t, "the error", func() bool { return strings.Contains(s.status().Error, "expired") })
			if whose == "repository" {
				r.close()
				r.config = &tls.Config{Certificates: []tls.Certificate{a.pair(time.Now().Add(time.Hour))}, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert}
				r.open()
			}
			mu.Lock()
			mended = true
			mu.Unlock()
			s.complete(r)
		})
	}
}

func TestRestartGoesOnWhereItStopped(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a).open(), newSite(t)
	s.send(tlsTarget(r, a))
	s.note(30)
	s.complete(r)
	time.Sleep(time.Second) // it settles
	s.stop()
	before := len(r.got())
	s.note(30)
	s.send(tlsTarget(r, a))
	s.complete(r)
	if again := len(r.got()) - before; again != 30 {
		t.Errorf("%d messages after the restart for 30 records", again)
	}
}

// What is recorded last is handed over before Cordon ends.
func TestTheStopIsHandedOver(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a).open(), newSite(t)
	s.send(tlsTarget(r, a))
	await(t, "the first message", func() bool { return len(r.got()) > 0 })
	s.note(5)
	s.stop()
	s.complete(r)
}

// A repository that takes nothing takes no time from whoever records.
func TestDeafRepositoryBlocksNobody(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a), newSite(t)
	r.deaf = true
	r.open()
	s.send(tlsTarget(r, a))
	begin := time.Now()
	s.note(20000) // more than the sockets hold
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("20000 records took %v", took)
	}
	await(t, "the alarm", func() bool { return s.status().Alarm })
	r.close()
	r.mu.Lock()
	r.deaf = false
	r.mu.Unlock()
	r.open()
	s.complete(r)
}

// A repository that needs longer than a session for what the sockets hold is
// waited for, as long as it goes on reading: else it would be sent the same again
// and again.
func TestSlowRepositoryGetsOn(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a), newSite(t)
	r.pace = time.Millisecond
	s.note(3000)
	r.open()
	s.send(tlsTarget(r, a))
	s.complete(r)
	await(t, "the cursor", func() bool { return s.status().Waiting == 0 })
	if n := len(r.got()); n > 6000 {
		t.Errorf("%d messages for 3000 records", n)
	}
}

func TestDeafRepositoryDoesNotKeepCordonFromStopping(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a), newSite(t)
	r.deaf = true
	r.open()
	s.send(tlsTarget(r, a))
	s.note(20000)
	await(t, "a session", func() bool { return s.status().Up })
	begin := time.Now()
	s.stop()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	r.close()
	r.mu.Lock()
	r.deaf = false
	r.mu.Unlock()
	r.open()
	s.send(tlsTarget(r, a))
	s.complete(r)
}

func TestFramesByNetworkAndFormat(t *testing.T) {
	for _, c := range []struct {
		network Network
		format  Format
		want    string
	}{{TLS, Syslog, "3 abc"}, {UDP, Syslog, "abc"}, {TLS, ECS, "abc\n"}, {UDP, ECS, "abc"}, {File, ECS, "abc\n"}} {
		if got := string(Target{Network: c.network, Format: c.format}.frame([]byte("abc"))); got != c.want {
			t.Errorf("%s over %s: %q", c.format, c.network, got)
		}
	}
}

func TestSeveralRepositoriesEachHaveTheirOwnPlace(t *testing.T) {
	a := newAuthority(t)
	one, two, s := newRecorder(t, a).open(), newRecorder(t, a), newSite(t)
	s.send(tlsTarget(one, a), tlsTarget(two, a))
	s.note(40)
	s.complete(one)
	two.open()
	s.complete(two)
}

func TestDatagramsCarryOneMessageEach(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newSite(t)
	s.send(Target{Network: UDP, Format: Syslog, Address: l.LocalAddr().String(), BOM: true})
	buf := make([]byte, 65536)
	l.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, _, err := l.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if m := buf[:n]; !bytes.HasPrefix(m, []byte("<85>1 ")) || !bytes.Contains(m, []byte(" - \xEF\xBB\xBF<?xml")) || !bytes.HasSuffix(m, []byte("</AuditMessage>")) {
		t.Errorf("%q", m)
	}
}

func TestECSFileHasEveryRecordOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ecs.jsonl")
	s := newSite(t)
	target := Target{Network: File, Format: ECS, Address: path, Size: 1 << 20, Keep: 3}
	s.send(target)
	s.note(100)
	await(t, "the file", func() bool { return s.status().Waiting == 0 })
	s.stop()
	s.note(100)
	s.send(target)
	await(t, "the file", func() bool { return s.status().Waiting == 0 })
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sequence := int64(-1)
	for l := range bytes.Lines(text) {
		var e struct{ Event struct{ Sequence int64 } }
		if err := json.Unmarshal(l, &e); err != nil || e.Event.Sequence != sequence+1 {
			t.Fatalf("%v: %s after %d", err, l, sequence)
		}
		sequence++
	}
	if sequence < 200 {
		t.Errorf("%d records", sequence+1)
	}
}

func TestTrailKnowsWhatHasArrived(t *testing.T) {
	at := func(ms int) time.Time { return moment.Add(time.Duration(ms) * time.Millisecond) }
	var tr trail
	tr.add(mark{10, 100, at(0)})
	tr.add(mark{20, 200, at(1)})
	for _, step := range []struct {
		bytes, next int64
		oldest      time.Time
	}{{50, 0, at(0)}, {100, 10, at(1)}, {199, 0, at(1)}, {200, 20, time.Time{}}} {
		if next := tr.advance(step.bytes); next != step.next || tr.oldest() != step.oldest {
			t.Errorf("%d bytes: %d arrived, the oldest of %v", step.bytes, next, tr.oldest())
		}
	}
	for i := range 5000 { // bounded, however much waits
		tr.add(mark{int64(i), int64(i), at(i)})
	}
	if len(tr.marks) > maxMarks || tr.marks[maxMarks-1].next != 4999 {
		t.Errorf("%d marks, the last %+v", len(tr.marks), tr.marks[maxMarks-1])
	}
}
