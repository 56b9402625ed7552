package interop

import (
	"path/filepath"
	"strings"
	"testing"

	"cordon/inspect/compose"
)

// The command line asks the engines about large pieces too.
func TestInspectAsksEnginesAboutLargePieces(t *testing.T) {
	c := startClamd(t)
	dir := t.TempDir()
	config, file := filepath.Join(dir, "cordon.yaml"), filepath.Join(dir, "large.dcm")
	write(t, config, "engines: {clamd: {address: '"+c.unix+"'}}\n")
	o := compose.CT(64, 64)
	compose.PrivateOB.Put(o, append(polyglot(), noise(3<<20)...))
	write(t, file, string(o.File()))
	said := cordonCommand(t, "inspect", "--config", config, file)
	if said.code != 1 || !strings.Contains(said.out, "engine-detection") {
		t.Errorf("exit code %d: %s%s", said.code, said.out, said.err)
	}
}
