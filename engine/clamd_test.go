package engine

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"cordon/finding"
)

// answering returns a script that takes the whole piece and answers.
func answering(reply string) func(int, net.Conn, *bufio.Reader) {
	return func(_ int, c net.Conn, in *bufio.Reader) {
		if _, err := readStream(in); err == nil {
			io.WriteString(c, reply)
		}
	}
}

func TestClamdAnswers(t *testing.T) {
	for _, test := range []struct {
		reply  string
		want   finding.Result
		detail string
	}{
		{"stream: OK\x00", finding.Clean, ""},
		{"stream: Eicar-Test-Signature FOUND\x00", finding.ResultMalicious, "Eicar-Test-Signature"},
		{"stream: YARA.a_rule.UNOFFICIAL(44d88612fea8a8f36de82e1278abb02f:68) FOUND\x00", finding.ResultMalicious, "YARA.a_rule"},
		{"stream: OK FOUND\x00", finding.ResultMalicious, "OK"},
		{"stream:  FOUND\x00", finding.ResultMalicious, noName},
		{"stream: \x1b[2J FOUND\x00", finding.ResultMalicious, noName},
		{"stream: " + strings.Repeat("n", 3000) + " FOUND\x00", finding.ResultMalicious, noName},
		{"stream: Heuristics.Limits.Exceeded.MaxScanSize FOUND\x00", finding.Unscanned, "a limit of its own"},
		{"stream: Heuristics.Limits.Exceeded FOUND\x00", finding.Unscanned, "a limit of its own"},
		{"INSTREAM size limit exceeded. ERROR\x00", finding.Unscanned, "StreamMaxLength"},
		{"stream: Time limit reached ERROR\x00", finding.Unscanned, "its log"},
		{"stream: Can't allocate memory ERROR\x00", finding.Unscanned, "its log"},
		{"UNKNOWN COMMAND\x00", finding.Unscanned, "protocol"},
		{"stream: ok\x00", finding.Unscanned, "protocol"},
		{"stream: OK \x00", finding.Unscanned, "protocol"},
		{"stream: OK\n\x00", finding.Unscanned, "protocol"},
		{"1: stream: OK\x00", finding.Unscanned, "protocol"},
		{"/etc/passwd: OK\x00", finding.Unscanned, "protocol"},
		{"\x00", finding.Unscanned, "protocol"},
		{"stream: OK\x00stream: OK\x00", finding.Unscanned, "after the answer"},
		{"stream: OK", finding.Unscanned, "closed"},
		{"", finding.Unscanned, "closed"},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", finding.Unscanned, "closed"},
		{strings.Repeat("garbage ", 10000), finding.Unscanned, "more than 4096 bytes"},
	} {
		c := fakeClamd(t, answering(test.reply))
		got := scan(t, c, "a piece")
		mustBe(t, got, test.want, test.detail)
		if got.Name != "clamd" || !strings.HasPrefix(got.Signatures, "ClamAV 1.4.6/27500/") {
			t.Errorf("%.40q: named %q, signatures %q", test.reply, got.Name, got.Signatures)
		}
	}
}

// What clamd reads is the piece, whatever its size.
func TestClamdGetsThePieceAsItIs(t *testing.T) {
	var got atomic.Value
	c := fakeClamd(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		s, _ := readStream(in)
		got.Store(s)
		io.WriteString(conn, "stream: OK\x00")
	})
	for _, size := range []int{0, 1, 1000, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20} {
		want := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		mustBe(t, scan(t, c, want), finding.Clean, "")
		if got.Load() != want {
			t.Errorf("%d bytes: clamd got %d others", size, len(got.Load().(string)))
		}
		mustBe(t, c.Scan(t.Context(), iotest.HalfReader(strings.NewReader(want)), -1), finding.Clean, "")
		if got.Load() != want {
			t.Errorf("%d bytes of unknown size: clamd got %d others", size, len(got.Load().(string)))
		}
	}
}

// A piece that is too large, shorter or longer than declared, or that cannot be read, is never judged by its beginning.
func TestPartialPieceIsUnscanned(t *testing.T) {
	var judged atomic.Int32
	judging := func(conn net.Conn, in *bufio.Reader) {
		if _, err := readStream(in); err == nil {
			judged.Add(1)
			io.WriteString(conn, "stream: OK\x00")
		}
	}
	clamd := fakeClamd(t, func(_ int, conn net.Conn, in *bufio.Reader) { judging(conn, in) })
	icap := fakeICAP(t, offer, func(c net.Conn, in *bufio.Reader, r icapRequest) bool {
		judged.Add(1)
		io.WriteString(c, "ICAP/1.0 204 No Content\r\nISTag: \"v1\"\r\n\r\n")
		return true
	})
	for _, e := range []scanner{clamd, icap} {
		big := strings.Repeat("x", 1<<20+1)
		mustBe(t, scan(t, e, big), finding.Unscanned, errTooLarge.Error())
		mustBe(t, e.Scan(t.Context(), strings.NewReader(big), -1), finding.Unscanned, errTooLarge.Error())
		mustBe(t, e.Scan(t.Context(), strings.NewReader("short"), 6), finding.Unscanned, errPartial.Error())
		mustBe(t, e.Scan(t.Context(), strings.NewReader("long"), 3), finding.Unscanned, errPartial.Error())
		mustBe(t, e.Scan(t.Context(), strings.NewReader(big[:200000]), 300000), finding.Unscanned, errPartial.Error())
		broken := io.MultiReader(strings.NewReader(big[:200000]), iotest.ErrReader(errors.New("secret")))
		mustBe(t, e.Scan(t.Context(), broken, -1), finding.Unscanned, errUnreadable.Error())
	}
	if n := judged.Load(); n != 0 {
		t.Errorf("%d incomplete pieces were ended as if complete", n)
	}
}

func TestClamdThatHangsIsUnscannedInTime(t *testing.T) {
	hang := func(_ int, _ net.Conn, in *bufio.Reader) { io.Copy(io.Discard, in) }
	deaf := func(_ int, _ net.Conn, in *bufio.Reader) { time.Sleep(time.Second) }
	trickle := func(_ int, c net.Conn, in *bufio.Reader) {
		for readStream(in); ; time.Sleep(10 * time.Millisecond) {
			if _, err := c.Write([]byte("s")); err != nil {
				return
			}
		}
	}
	for _, script := range []func(int, net.Conn, *bufio.Reader){hang, deaf, trickle} {
		c := fakeClamd(t, script)
		c.settings.timeout, c.settings.limit = 300*time.Millisecond, 50<<20
		piece := strings.Repeat("x", 20<<20)
		within(t, 900*time.Millisecond, func() { mustBe(t, scan(t, c, piece), finding.Unscanned, "no time left") })
	}
}

func TestCallerEndsAScan(t *testing.T) {
	clamd := fakeClamd(t, func(_ int, _ net.Conn, in *bufio.Reader) { io.Copy(io.Discard, in) })
	icap := fakeICAP(t, offer, func(_ net.Conn, in *bufio.Reader, _ icapRequest) bool {
		io.Copy(io.Discard, in)
		return false
	})
	for _, e := range []scanner{clamd, icap} {
		within(t, time.Second, func() {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			mustBe(t, e.Scan(ctx, strings.NewReader("x"), 1), finding.Unscanned, "given up")
		})
	}
}

// clamd answers over its limit while the piece is still being sent, and closes.
func TestClamdStreamMaxLength(t *testing.T) {
	c := fakeClamd(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		io.CopyN(io.Discard, in, 100000)
		io.WriteString(conn, "INSTREAM size limit exceeded. ERROR\x00")
		time.Sleep(20 * time.Millisecond)
	})
	mustBe(t, scan(t, c, strings.Repeat("x", 1<<20)), finding.Unscanned, "")
}

// "OK" that comes before the end of the piece is about less than the piece.
func TestClamdEarlyOKIsUnscanned(t *testing.T) {
	c := fakeClamd(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		io.CopyN(io.Discard, in, 1000)
		io.WriteString(conn, "stream: OK\x00")
		conn.(*net.TCPConn).SetLinger(0)
		time.Sleep(20 * time.Millisecond)
	})
	c.settings.limit = 50 << 20
	if got := scan(t, c, strings.Repeat("x", 50<<20)); got.Result != finding.Unscanned {
		t.Errorf("got %+v", got)
	}
}

func TestClamdThatDiesMidStream(t *testing.T) {
	c := fakeClamd(t, func(n int, conn net.Conn, in *bufio.Reader) {
		io.CopyN(io.Discard, in, 100000)
		conn.(*net.TCPConn).SetLinger(0)
	})
	got := scan(t, c, strings.Repeat("x", 1<<20))
	mustBe(t, got, finding.Unscanned, "clamd")
}

func TestClamdDownAndUpAgain(t *testing.T) {
	c := fakeClamd(t, answering("stream: OK\x00"))
	address := c.address
	c.address = "127.0.0.1:1"
	mustBe(t, scan(t, c, "x"), finding.Unscanned, "connecting to clamd")
	if s := c.State(t.Context()); s.Up || !strings.Contains(s.Error, "connecting to clamd") || s.Name != "clamd" {
		t.Errorf("down: %+v", s)
	}
	c.address = address
	mustBe(t, scan(t, c, "x"), finding.Clean, "")
	if s := c.State(t.Context()); !s.Up || s.Error != "" || !s.SignaturesAt.Equal(time.Date(2026, 1, 5, 9, 10, 11, 0, time.UTC)) {
		t.Errorf("up: %+v", s)
	}
}

func TestClamdVersion(t *testing.T) {
	for text, want := range map[string]string{
		"ClamAV 1.4.6/27500/Mon Jan  5 09:10:11 2026": "2026-01-05T09:10:11Z",
		"ClamAV 1.4.6":                        "0001-01-01T00:00:00Z",
		"ClamAV 1.4.6/27500/yesterday":        "",
		"ClamAV 1.4.6/27500":                  "",
		"ClamAV 1.4.6/1/2/3":                  "",
		"ClamAV \x1b":                         "",
		"COMMAND UNAVAILABLE":                 "",
		"":                                    "",
		"ClamAV " + strings.Repeat("9", 1000): "",
	} {
		v, err := parseVersion(text)
		if got := v.at.Format(time.RFC3339); (err == nil) != (want != "") || err == nil && (got != want || v.line != text) {
			t.Errorf("%.40q: %q at %s, %v", text, v.line, got, err)
		}
	}
}

// A service that answers VERSION with something else is not clamd: nothing is sent to it.
func TestNotClamd(t *testing.T) {
	var conns atomic.Int32
	address := peer(t, func(_ int, c net.Conn) {
		conns.Add(1)
		io.WriteString(c, "220 mail.example ESMTP\r\n\x00")
		io.Copy(io.Discard, c)
	})
	c := NewClamd(ClamdConfig{Address: address, Timeout: time.Second})
	mustBe(t, scan(t, c, "x"), finding.Unscanned, "as clamd does")
	if s := c.State(t.Context()); s.Up {
		t.Errorf("%+v", s)
	}
	if conns.Load() != 2 {
		t.Errorf("%d connections", conns.Load())
	}
}

// clamd that hides its limits is found out once, and again after it was away.
func TestSilentLimitsAreAWarning(t *testing.T) {
	var reply atomic.Value
	var probes atomic.Int32
	reply.Store("stream: OK\x00")
	c := fakeClamd(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		probes.Add(1)
		readStream(in)
		io.WriteString(conn, reply.Load().(string))
	})
	for range 3 {
		if s := c.State(t.Context()); !s.Up || !strings.Contains(s.Warning, "AlertExceedsMax") {
			t.Errorf("%+v", s)
		}
	}
	if probes.Load() != 1 {
		t.Errorf("probed %d times", probes.Load())
	}
	reply.Store("stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND\x00")
	address := c.address
	c.address = "127.0.0.1:1"
	c.State(t.Context())
	c.address = address
	if s := c.State(t.Context()); !s.Up || s.Warning != "" {
		t.Errorf("%+v", s)
	}
}

// What is sent to find that out is small, harmless, and as deep as it says.
func TestDeepGzip(t *testing.T) {
	p := deepGzip()
	if len(p) > 4096 {
		t.Errorf("%d bytes", len(p))
	}
	depth := 0
	for ; len(p) > 0; depth++ {
		z, err := gzip.NewReader(bytes.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		if p, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	if depth != 110 {
		t.Errorf("%d deep", depth)
	}
}

// clamd is asked for its version once in ten seconds, not once per piece.
func TestVersionIsNotAskedForEachPiece(t *testing.T) {
	var conns atomic.Int32
	c := fakeClamd(t, func(n int, conn net.Conn, in *bufio.Reader) {
		conns.Store(int32(n))
		answering("stream: OK\x00")(n, conn, in)
	})
	for range 20 {
		mustBe(t, scan(t, c, "x"), finding.Clean, "")
	}
	if c.Signatures(t.Context()) == "" || conns.Load() != 20 {
		t.Errorf("%d connections, signatures %q", conns.Load()+1, c.Signatures(t.Context()))
	}
}

// No more connections are open than were allowed, whoever asks, and everyone gets an answer.
func TestConnectionsAreBounded(t *testing.T) {
	var now atomic.Int32
	serve := func(answer func()) {
		if n := now.Add(1); n > 3 {
			t.Errorf("%d connections at a time", n)
		}
		time.Sleep(time.Millisecond)
		now.Add(-1)
		answer()
	}
	clamd := fakeClamd(t, func(n int, c net.Conn, in *bufio.Reader) {
		readStream(in)
		serve(func() { io.WriteString(c, "stream: OK\x00") })
	})
	icap := fakeICAP(t, strings.Replace(offer, "100", "3", 1), func(c net.Conn, in *bufio.Reader, r icapRequest) bool {
		serve(func() { io.WriteString(c, "ICAP/1.0 204 No Content\r\nISTag: \"v1\"\r\n\r\n") })
		return true
	})
	clamd.seats.restrict(3)
	for _, e := range []scanner{clamd, icap} {
		mustBe(t, scan(t, e, "first"), finding.Clean, "")
		var all sync.WaitGroup
		for range 60 {
			all.Go(func() { mustBe(t, scan(t, e, "x"), finding.Clean, "") })
		}
		all.Wait()
	}
}

// Health does not wait behind the pieces that wait.
func TestStateOfABusyClamd(t *testing.T) {
	begun, end := make(chan struct{}, 1), make(chan struct{})
	c := fakeClamd(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		if piece, _ := readStream(in); piece == "slow" {
			begun <- struct{}{}
			<-end
		}
		io.WriteString(conn, "stream: OK\x00")
	})
	c.seats.restrict(1)
	var scans sync.WaitGroup
	scans.Go(func() { mustBe(t, scan(t, c, "slow"), finding.Clean, "") })
	<-begun
	if s := c.State(t.Context()); !s.Up {
		t.Errorf("%+v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	mustBe(t, c.Scan(ctx, strings.NewReader("x"), 1), finding.Unscanned, "waiting for a connection: no time left")
	close(end)
	scans.Wait()
}

// Who waits for a seat waits no longer than its context, and takes none with it.
func TestSeatsAreNotLost(t *testing.T) {
	s := seats{limit: 1}
	s.take(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.take(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got a seat that there is not: %v", err)
	}
	s.leave()
	turn := make(chan struct{})
	if err := s.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.waiting = append(s.waiting, turn)
	s.leave() // gives the seat to turn
	<-turn
	s.abandon(turn)
	if s.taken != 0 {
		t.Errorf("%d seats are lost", s.taken)
	}
}
