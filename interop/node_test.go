package interop

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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
