package engine

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/textproto"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/finding"
)

// scanner is what the two engines have in common.
type scanner interface {
	Name() string
	Scan(ctx context.Context, r io.Reader, size int64) finding.EngineResult
	Signatures(ctx context.Context) string
	State(ctx context.Context) State
}

func scan(t testing.TB, e scanner, piece string) finding.EngineResult {
	t.Helper()
	return e.Scan(t.Context(), strings.NewReader(piece), int64(len(piece)))
}

// mustBe fails the test unless the answer has that result, and its detail holds that text.
func mustBe(t testing.TB, got finding.EngineResult, want finding.Result, detail string) {
	t.Helper()
	if got.Result != want || !strings.Contains(got.Detail, detail) || want == finding.Clean && got.Detail != "" {
		t.Errorf("got %v %q, want %v with %q", got.Result, got.Detail, want, detail)
	}
}

// peer listens on a socket of 127.0.0.1 and gives each connection, numbered from 0, to a script. When the test ends it
// closes them all and waits for the scripts; then no goroutine that began during the test may be left.
func peer(t testing.TB, script func(n int, c net.Conn)) string {
	t.Helper()
	before := runtime.NumGoroutine()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		conns []net.Conn
		done  sync.WaitGroup
	)
	done.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			done.Go(func() {
				defer c.Close()
				script(n, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		done.Wait()
		for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
			}
		}
	})
	return l.Addr().String()
}

// within runs what may take so long at the most. A run in which this program was kept
// from its processor for a quarter of that measures nothing, and is made again.
func within(t *testing.T, most time.Duration, f func()) {
	t.Helper()
	for range 20 {
		stop, kept := make(chan struct{}), make(chan time.Duration)
		go keptWaiting(stop, kept) // ends with stop
		begun := time.Now()
		f()
		took := time.Since(begun)
		close(stop)
		waited := <-kept
		switch {
		case took <= most:
			return
		case waited < most/4:
			t.Errorf("took %v, which is more than %v; the machine kept it waiting for %v", took, most, waited)
			return
		}
	}
	t.Error("this machine is too busy to measure")
}

// keptWaiting sends how much longer its sleeps took than they should, once it is stopped.
func keptWaiting(stop <-chan struct{}, kept chan<- time.Duration) {
	const nap = 5 * time.Millisecond
	var sum time.Duration
	for {
		begun := time.Now()
		select {
		case <-stop:
			kept <- sum
			return
		case <-time.After(nap):
			sum += time.Since(begun) - nap
		}
	}
}

// fakeClamd answers VERSION properly, and every other command as the script does, which is given the connection behind the
// command.
func fakeClamd(t testing.TB, script func(n int, c net.Conn, in *bufio.Reader)) *Clamd {
	t.Helper()
	address := peer(t, func(n int, c net.Conn) {
		in := bufio.NewReader(c)
		switch command, _ := in.ReadString(0); command {
		case "zVERSION\x00":
			io.WriteString(c, "ClamAV 1.4.6/27500/Mon Jan  5 09:10:11 2026\x00")
		case "zINSTREAM\x00":
			script(n, c, in)
		}
	})
	return NewClamd(ClamdConfig{Address: address, Timeout: 2 * time.Second, MaxStream: 1 << 20})
}

// readStream reads what INSTREAM is followed by.
func readStream(in *bufio.Reader) (string, error) {
	var all strings.Builder
	for {
		var length uint32
		if err := binary.Read(in, binary.BigEndian, &length); err != nil {
			return all.String(), err
		}
		if length == 0 {
			return all.String(), nil
		}
		if _, err := io.CopyN(&all, in, int64(length)); err != nil {
			return all.String(), err
		}
	}
}

// icapRequest is one request that a fake ICAP server got. The body is the preview if there is one.
type icapRequest struct {
	line, uri string
	header    textproto.MIMEHeader
	http      string
	body      string
	ieof      bool // the preview was everything
}

// readRequest reads a request as a server does that takes nothing for granted.
func readRequest(in *bufio.Reader) (icapRequest, error) {
	tp := textproto.NewReader(in)
	line, err := tp.ReadLine()
	if err != nil {
		return icapRequest{}, err
	}
	r := icapRequest{line: line, uri: strings.Fields(line)[1]}
	if r.header, err = tp.ReadMIMEHeader(); err != nil || strings.HasPrefix(line, "OPTIONS") {
		return r, err
	}
	sections, err := parseEncapsulated(r.header.Get("Encapsulated"))
	if err != nil {
		return r, err
	}
	headers := make([]byte, sections[len(sections)-1].offset)
	if _, err := io.ReadFull(in, headers); err != nil {
		return r, err
	}
	r.http = string(headers)
	r.body, r.ieof, err = readChunks(in)
	return r, err
}

// readChunks reads a chunked body, and whether its end says ieof.
func readChunks(in *bufio.Reader) (string, bool, error) {
	var all strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return all.String(), false, err
		}
		var n int64
		size, extension, _ := strings.Cut(strings.TrimSpace(line), ";")
		if _, err := fmt.Sscanf(size, "%x", &n); err != nil {
			return all.String(), false, err
		}
		if _, err := io.CopyN(&all, in, n); err != nil {
			return all.String(), false, err
		}
		if _, err := in.ReadString('\n'); err != nil || n == 0 {
			return all.String(), strings.TrimSpace(extension) == "ieof", err
		}
	}
}

// chunked returns a body as it travels.
func chunked(body string) string {
	var b strings.Builder
	w := httputil.NewChunkedWriter(&b)
	io.WriteString(w, body)
	w.Close()
	return b.String() + "\r\n"
}

const offer = "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nService: fake\r\nISTag: \"v1\"\r\nAllow: 204\r\nMax-Connections: 100\r\nEncapsulated: null-body=0\r\n"

// fakeICAP answers OPTIONS with the offer (a status line and header fields), and every other request as the script does. It
// keeps a connection while the script says so.
func fakeICAP(t testing.TB, offer string, script func(c net.Conn, in *bufio.Reader, r icapRequest) (keep bool)) *ICAP {
	t.Helper()
	address := peer(t, func(n int, c net.Conn) {
		in := bufio.NewReader(c)
		for {
			r, err := readRequest(in)
			if err != nil {
				return
			}
			if strings.HasPrefix(r.line, "OPTIONS") {
				io.WriteString(c, offer+"\r\n")
			} else if !script(c, in, r) {
				return
			}
		}
	})
	return NewICAP(ICAPConfig{URL: "icap://" + address + "/scan", Timeout: 2 * time.Second, MaxBody: 1 << 20})
}
