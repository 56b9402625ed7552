package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"cordon/finding"
	"cordon/inspect/compose"
	"cordon/inspect/container"
)

// clamFiles are Debian's clamav-testfiles: one harmless Windows program, packed
// and wrapped in many ways.
const clamFiles = "/usr/share/clamav-testfiles"

// Classes of clamav-testfiles; some containers are packed in a way that only an
// engine opens.
const (
	programClass = "clamav-testfiles: programs"
	wrappedClass = "clamav-testfiles: containers"
)

// A payload is what is hidden.
type payload struct {
	name  string
	kind  payloadKind
	bytes []byte
}

type payloadKind uint8

const (
	executable payloadKind = iota // found anywhere, at any offset
	script                        // runs only as the start of something
	packed                        // a container or a text, opened where a piece begins
	testFile                      // a program of clamav-testfiles
	wrapped                       // a container of clamav-testfiles, which may need an engine
)

// hostileFiles hides every payload in every place that it fits.
func hostileFiles(ctx context.Context, dir string) (specimens []specimen, payloads []payload, err error) {
	if payloads, err = ownPayloads(ctx, dir); err != nil {
		return nil, nil, err
	}
	tests, err := clamPayloads()
	if err != nil {
		return nil, nil, err
	}
	payloads = append(payloads, tests...)
	for _, place := range compose.Places() {
		for _, p := range payloads {
			if !p.fits(place) {
				continue
			}
			o := compose.CT(64, 64)
			place.Put(o, p.bytes)
			path := filepath.Join(dir, fmt.Sprintf("%05d.dcm", len(specimens)))
			if err := os.WriteFile(path, o.File(), 0o600); err != nil {
				return nil, nil, err
			}
			specimens = append(specimens, specimen{class: p.class(place), name: p.name + " in " + place.Name, path: path, limit: p.limit(place)})
		}
	}
	slices.SortStableFunc(specimens, func(a, b specimen) int { return cmp.Compare(rank(a), rank(b)) })
	return specimens, payloads, nil
}

// class is the row in which a payload in a place is counted.
func (p payload) class(place compose.Place) string {
	switch p.kind {
	case testFile:
		return programClass
	case wrapped:
		return wrappedClass
	}
	return place.Name
}

// someplaces are the places for the many files of clamav-testfiles.
var someplaces = []string{
	compose.PrivateOB.Name, compose.EncapsulatedPDF.Name, compose.AfterEndOfImage.Name, compose.Deflated.Name, compose.Appended.Name,
}

// fits says whether the payload would still be one in this place: lengths of 16
// bits, the 128 bytes of a preamble and places that are not the start of
// anything are not for all.
func (p payload) fits(place compose.Place) bool {
	windows := bytes.HasPrefix(p.bytes, []byte("MZ"))
	start := !slices.Contains([]string{
		compose.PrivateMiddle.Name, compose.ICCProfile.Name, compose.PixelData.Name, compose.PixelDataBigEndian.Name,
	}, place.Name)
	switch {
	case place.Name == compose.PreambleAndPrivate.Name:
		return windows && p.kind == executable
	case slices.Contains([]string{compose.PrivateLT.Name, compose.Palette.Name, compose.Overlay.Name}, place.Name) && len(p.bytes) > 60000:
		return false
	case p.kind == testFile || p.kind == wrapped:
		return slices.Contains(someplaces, place.Name)
	case place.Name == compose.Preamble.Name: // of a program its header
		return p.kind == executable || len(p.bytes) <= len(compose.Object{}.Preamble)
	case p.kind == script || p.kind == packed:
		return start
	}
	return true
}

// limit says why Cordon alone does not look for the payload in this place, or "".
func (p payload) limit(place compose.Place) string {
	text := p.kind == packed && (container.Recognise(p.bytes) == container.Text || p.name == "zip-behind-header")
	switch {
	case p.kind == wrapped:
		return "packed in a way that only an engine opens"
	case text && (place.Name == compose.PrivateOWSwapped.Name || place.Name == compose.PrivateOFSwapped.Name):
		return "in the other byte order only magic numbers at the start count"
	case place.Name == compose.SplitFragments.Name && (text || container.Recognise(p.bytes) == container.Markup):
		return "a text in fragments of 30 bytes behind an image is not read as one"
	}
	return ""
}

// ownPayloads are true programs, made here, and those of package compose.
func ownPayloads(ctx context.Context, dir string) ([]payload, error) {
	all := []payload{
		{"Windows header", executable, compose.WindowsProgram()},
		{"Linux header", executable, compose.LinuxProgram()},
		{"macOS header", executable, compose.MacProgram()},
		{"shortcut", executable, compose.Shortcut()},
		{"EICAR", executable, compose.EICAR()},
		{"shell script", script, compose.ShellScript()},
	}
	for _, system := range []string{"windows", "linux"} {
		p, err := inert(ctx, dir, system)
		if err != nil {
			return nil, err
		}
		all = append(all, payload{system + " program", executable, p})
	}
	for _, c := range compose.Containers() {
		if kind, _ := finding.Lookup(c.ID); kind.Severity > finding.Info { // what is only recorded is not hostile
			all = append(all, payload{c.Name, packed, c.Body})
		}
	}
	return all, nil
}

// inert compiles a program that does nothing.
func inert(ctx context.Context, dir, system string) ([]byte, error) {
	work, err := os.MkdirTemp(filepath.Dir(dir), "inert-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", "inert", "main.go")
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compiling a program for %s: %w: %s", system, err, out)
	}
	return os.ReadFile(filepath.Join(work, "inert"))
}

func clamPayloads() ([]payload, error) {
	entries, err := os.ReadDir(clamFiles)
	if err != nil {
		return nil, err
	}
	var all []payload
	for _, e := range entries {
		p, err := os.ReadFile(filepath.Join(clamFiles, e.Name()))
		if err != nil {
			return nil, err
		}
		kind := wrapped
		if bytes.HasPrefix(p, []byte("MZ")) {
			kind = testFile
		}
		all = append(all, payload{e.Name(), kind, p})
	}
	return all, nil
}

const signatureBytes = 64 // of each stretch of a payload that clamd is told of

// signatures tell clamd of every payload by its digest (.hsb), its first bytes
// and its most varied stretch, wherever they are in a file of any type (.ndb).
func signatures(payloads []payload) (hsb, ndb string) {
	var digests, bodies strings.Builder
	for i, p := range payloads {
		fmt.Fprintf(&digests, "%x:%d:Bench.Digest.%d\n", sha256.Sum256(p.bytes), len(p.bytes), i)
		fmt.Fprintf(&bodies, "Bench.Start.%d:0:*:%x\n", i, p.bytes[:min(signatureBytes, len(p.bytes))])
		fmt.Fprintf(&bodies, "Bench.Body.%d:0:*:%x\n", i, varied(p.bytes))
	}
	return digests.String(), bodies.String()
}

// varied returns the stretch of p with the most different bytes.
func varied(p []byte) []byte {
	best, most := p[:min(signatureBytes, len(p))], 0
	for at := 0; at+signatureBytes <= len(p); at += signatureBytes / 4 {
		stretch := p[at : at+signatureBytes]
		var seen [256]bool
		n := 0
		for _, c := range stretch {
			if !seen[c] {
				seen[c] = true
				n++
			}
		}
		if n > most {
			best, most = stretch, n
		}
	}
	return best
}
