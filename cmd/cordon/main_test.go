package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"cordon/dicom"
	"cordon/inspect/compose"
	"cordon/interop/ports"
	"cordon/ledger"
	"cordon/store"
)

func TestMain(m *testing.M) {
	inOwnNetwork()
	testscript.Main(m, map[string]func(){"cordon": main})
}

// TestScripts runs testdata/*.txt. Beside the commands of testscript they have:
//
//	exits CODE COMMAND ARG…   the command ends with exactly this code
//	ready                     wait until the daemon at $CONSOLE accepts associations
//	get PATH                  HTTP from $CONSOLE; the answer is the next stdout
//	fifo FILE                 make a named pipe
//	lines N FILE              the file has so many lines
//	study DIR                 write clean1.dcm, clean2.dcm, hostile.dcm and suspicious.dcm, of one study
//	report DIR                write report1.dcm to report5.dcm, encrypted documents, and hostile.dcm
//	around DIR                write objects with payloads around the data set, and what they are without
//	medium DIR                make a patient's CD, with what should not be on it
//	word N FILE NAME          set NAME to the Nth word of the file's second line
//	eventually COMMAND ARG…   run it until it succeeds
//	hostilename DIR           write an empty file whose name clears a terminal
//	fill FILE                 replace $NAME in the file
//	join LINKS NAME WORDS     take the account of the last link in a file, with a password
//	sigterm                   ask what runs in the background to stop
//	certify DIR               write ca.pem, and host.pem, host.key that it signs for 127.0.0.1
//
// Each script has its own $GATEWAY, $CONSOLE and $OTHER, free addresses.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"GATEWAY", "CONSOLE", "OTHER"} {
				e.Setenv(name, freeAddress(t))
			}
			e.Defer(func() { checkLedgers(t, e.WorkDir) })
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":       exits,
			"ready":       ready,
			"get":         get,
			"fifo":        fifo,
			"lines":       lines,
			"study":       study,
			"report":      report,
			"around":      around,
			"medium":      medium,
			"word":        word,
			"eventually":  eventually,
			"sigterm":     sigterm,
			"join":        join,
			"fill":        fill,
			"certify":     certify,
			"hostilename": hostileName,
		},
	})
}

// checkLedgers holds every record that a script has caused against the catalogue
// of kinds.
func checkLedgers(t *testing.T, dir string) {
	found, err := filepath.Glob(filepath.Join(dir, "*", "cordon.db"))
	if err != nil {
		t.Error(err)
	}
	for _, path := range found {
		db, err := store.OpenReadOnly(context.Background(), path, migrations())
		if err != nil {
			continue // a script may have damaged it
		}
		err = ledger.Tail(context.Background(), db, 1<<20, ledger.Listed)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		db.Close()
	}
}

// freeAddress is one that nothing listens on and nobody else has got.
func freeAddress(t *testing.T) string {
	return fmt.Sprintf("127.0.0.1:%d", ports.Free(t))
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want || neg {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func ready(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		rsp, err := http.Get("http://" + ts.Getenv("CONSOLE") + "/readyz")
		if err != nil {
			continue
		}
		rsp.Body.Close()
		if rsp.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("not ready after 20 s")
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	rsp, err := http.Get("http://" + ts.Getenv("CONSOLE") + args[0])
	ts.Check(err)
	defer rsp.Body.Close()
	if (rsp.StatusCode == http.StatusOK) == neg {
		ts.Fatalf("GET %s: %s", args[0], rsp.Status)
	}
	_, err = io.Copy(ts.Stdout(), rsp.Body)
	ts.Check(err)
}

func fifo(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
}

func lines(ts *testscript.TestScript, neg bool, args []string) {
	n := 0
	for _, c := range ts.ReadFile(args[1]) {
		if c == '\n' {
			n++
		}
	}
	if strconv.Itoa(n) != args[0] {
		ts.Fatalf("%s has %d lines, want %s", args[1], n, args[0])
	}
}

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = ts.Exec(args[0], args[1:]...); err == nil {
			return
		}
	}
	ts.Fatalf("still %v after 20 s", err)
}

// study writes two clean images, a hostile and a suspicious one, of one study.
func study(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	of := compose.NewUID()
	write := func(name string, change func(*compose.Object)) {
		o := compose.CT(64, 64)
		o.Study = of
		change(o)
		ts.Check(os.WriteFile(filepath.Join(dir, name), o.File(), 0o644))
	}
	write("clean1.dcm", func(*compose.Object) {})
	write("clean2.dcm", func(*compose.Object) {})
	write("hostile.dcm", func(o *compose.Object) { compose.PrivateOB.Put(o, compose.WindowsProgram()) })
	write("suspicious.dcm", func(o *compose.Object) { o.SetUint16(dicom.TagRows, 4096) }) // more rows than pixels
}

// report writes documents that need a password, as some devices do, and a
// document that holds a program.
func report(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	write := func(name string, content []byte) {
		o := compose.Document()
		compose.EncapsulatedPDF.Put(o, content)
		ts.Check(os.WriteFile(filepath.Join(dir, name), o.File(), 0o644))
	}
	for n := range 5 {
		write(fmt.Sprintf("report%d.dcm", n+1), compose.PDF("<</Encrypt 9 0 R>>"))
	}
	write("hostile.dcm", compose.WindowsProgram())
}

func fill(ts *testscript.TestScript, neg bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// join opens a link of one use as a browser does.
func join(ts *testscript.TestScript, neg bool, args []string) {
	lines := strings.Fields(ts.ReadFile(args[0]))
	link, err := url.Parse(lines[len(lines)-1])
	ts.Check(err)
	form := url.Values{"link": {link.Query().Get("link")}, "name": {args[1]}, "password": {args[2]}, "password-again": {args[2]}}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	rsp, err := client.PostForm("http://"+ts.Getenv("CONSOLE")+"/setup", form)
	ts.Check(err)
	rsp.Body.Close()
	if (rsp.StatusCode == http.StatusSeeOther) == neg {
		ts.Fatalf("POST /setup: %s", rsp.Status)
	}
}

func sigterm(ts *testscript.TestScript, neg bool, args []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGTERM))
	}
}

func hostileName(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "\x1b[2J"), nil, 0o644))
}

func word(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	lines := strings.Split(ts.ReadFile(args[1]), "\n")
	if len(lines) < 2 || len(strings.Fields(lines[1])) < n {
		ts.Fatalf("%s: no word %d in a second line", args[1], n)
	}
	ts.Setenv(args[2], strings.Fields(lines[1])[n-1])
}

// certify makes an authority, and a certificate for 127.0.0.1 that servers and
// clients may show.
func certify(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test authority"},
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	host := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "test host"},
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	ts.Check(err)
	hostDER, err := x509.CreateCertificate(rand.Reader, host, ca, key.Public(), caKey)
	ts.Check(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{"ca.pem", "CERTIFICATE", caDER}, {"host.pem", "CERTIFICATE", hostDER}, {"host.key", "PRIVATE KEY", keyDER}} {
		text := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})
		ts.Check(os.WriteFile(filepath.Join(dir, f.name), text, 0o600))
	}
}
