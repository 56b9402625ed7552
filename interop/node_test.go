package interop

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/interop/npm"
)

// nodeDir and webDir are directories with scripts of ours and the packages that they need, kept in the user's cache from
// run to run: dcmjs-dimse, a DICOM implementation in JavaScript that shares no code with DCMTK; and viewers, clients and
// an issuer of tokens on the web's side. Packages are pinned with their digests in package-lock.json, against which npm
// checks each.
var (
	nodeDir = sync.OnceValues(func() (string, error) { return npm.Install("dcmjs", os.DirFS("testdata/dcmjs")) })
	webDir  = sync.OnceValues(func() (string, error) { return npm.Install("web", os.DirFS("testdata/web")) })
)

func nodeScript(t *testing.T, name string) string {
	t.Helper()
	dir, err := nodeDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// nodeSCU runs one operation of dcmjs-dimse and returns the lines of JSON that it printed, one for each response.
func nodeSCU(t *testing.T, operation string, at *peer, calling, input string) []string {
	t.Helper()
	ask := func() ([]byte, error) {
		return command(t, "node", nodeScript(t, "scu.js"), operation, at.Host, at.Port, calling, string(at.AETitle), input).Output()
	}
	out, err := ask()
	for again := 0; err != nil && at.hangsUp && again < 3; again++ {
		out, err = ask()
	}
	if err != nil {
		t.Fatalf("dcmjs-dimse %s to %s: %v\n%s", operation, at.AETitle, err, tail(out))
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "{") { // the package remarks on what it does not know
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// hasty answers every query with two matches, and hangs up before the last answer the first time.
func hasty(t *testing.T) *peer {
	t.Helper()
	p := newPeer(t, "HASTY")
	p.hangsUp = true
	l, err := net.Listen("tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for calls := 0; ; calls++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if err := answerTwice(t.Context(), nc, calls > 0); err != nil {
				t.Error(err)
			}
			nc.Close()
		}
	}()
	return p
}

func answerTwice(ctx context.Context, nc net.Conn, last bool) error {
	in, err := ul.Receive(ctx, nc, ul.Limits{ARTIM: 5 * time.Second})
	if err != nil {
		return err
	}
	a, err := in.Accept(in.Request.Respond(func(c ul.ProposedContext) ul.AcceptedContext {
		return ul.AcceptedContext{TransferSyntax: c.TransferSyntaxes[0]}
	}))
	if err != nil {
		return err
	}
	c := dimse.NewConn(a)
	m, err := c.Receive(ctx)
	if err != nil {
		return err
	}
	io.Copy(io.Discard, m.Data)
	for range 2 {
		match := []byte{8, 0, 0x52, 0, 6, 0, 0, 0, 'S', 'T', 'U', 'D', 'Y', ' '} // Query/Retrieve Level
		if err := c.Respond(ctx, m, dimse.Command{Status: dimse.Pending}, bytes.NewReader(match)); err != nil {
			return err
		}
	}
	if !last {
		return nil
	}
	if err := c.Respond(ctx, m, dimse.Command{}, nil); err != nil {
		return err
	}
	if _, err := c.Receive(ctx); err != io.EOF { // it releases
		return err
	}
	return nil
}

// What a peer has cut short is no answer.
func TestHalfAnAnswerIsAskedForAgain(t *testing.T) {
	answers := nodeSCU(t, "studies", hasty(t), "CT1", `{"PatientName":"*"}`)
	if len(answers) != 3 || answers[2] != `{"status":0}` {
		t.Errorf("%q", answers)
	}
}

// nodeSCP is a dcmjs-dimse provider: it takes performed procedure steps and images and prints what came.
type nodeSCP struct {
	peer
	process *process
}

func startNodeSCP(t *testing.T) *nodeSCP {
	t.Helper()
	p := &nodeSCP{peer: *newPeer(t, "STEPS")}
	p.process = launch(t, "node", nodeScript(t, "scp.js"), p.Port)
	p.awaitReady(t)
	return p
}

// took returns the lines that it printed, one for each request.
func (p *nodeSCP) took() []string {
	var lines []string
	for line := range strings.Lines(p.process.printed()) {
		if strings.HasPrefix(line, `{"operation"`) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
