package cordon

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// A room is one package: the floor it stands on, and the packages of this
// module that it may import, each with the reason. Imports run down; an edge
// on the same floor needs its reason as much as any other.
type room struct {
	floor int
	may   map[string]string
}

// house is the plan. A new package or a new edge is a decision: it is taken
// here, and ARCHITECTURE.md says why.
var house = map[string]room{
	"dicom":   {1, nil},
	"finding": {1, nil},
	"store":   {1, nil},
	"dicom/ul": {1, map[string]string{
		"dicom": "UIDs, AE titles",
	}},
	"dicom/secure": {1, map[string]string{
		"fresh": "certificates, keys, lists in files that change",
	}},
	"fresh": {1, nil},
	"front": {1, map[string]string{
		"quota": "so many requests of one address",
	}},
	"dicom/dimse": {1, map[string]string{
		"dicom":    "command sets are data sets",
		"dicom/ul": "messages travel in presentation data values",
	}},
	"dicom/commit": {1, map[string]string{
		"dicom": "the data sets of storage commitment",
	}},
	"dicom/web": {1, map[string]string{
		"dicom":         "data sets, UIDs; the dictionary",
		"dicom/charset": "text becomes UTF-8",
	}},
	"dicom/internal/gendict": {1, nil},
	"metric":                 {1, nil},
	"notify":                 {1, nil},
	"metric/internal/gendocs": {1, map[string]string{
		"metric": "writes the catalogue as a page",
	}},

	"finding/internal/gendocs": {1, map[string]string{
		"finding": "writes the catalogue as a page",
	}},
	"engine": {2, map[string]string{
		"finding": "an engine's answer",
	}},
	"dicom/charset": {1, nil},
	"inspect": {2, map[string]string{
		"dicom":             "reads objects",
		"dicom/charset":     "decodes whom they are of",
		"finding":           "reports findings",
		"inspect/container": "opens what pieces hold",
	}},
	"inspect/container": {2, nil},
	"inspect/compose": {2, map[string]string{
		"dicom": "builds objects",
	}},
	"policy": {2, map[string]string{
		"dicom":   "UIDs, AE titles",
		"finding": "decides on findings",
	}},
	"query": {2, map[string]string{
		"dicom":       "reads identifiers; the dictionary",
		"dicom/dimse": "commands, statuses",
	}},
	"custody": {2, map[string]string{
		"finding": "keeps an object's findings",
		"store":   "rows, blobs",
	}},
	"asset": {2, map[string]string{
		"custody": "who decides and why, checked alike",
		"dicom":   "UIDs, AE titles",
		"policy":  "devices as admission takes them",
		"store":   "its own tables",
	}},
	"exception": {2, map[string]string{
		"custody": "who asks and why, checked alike; the object that a release is about",
		"dicom":   "AE titles",
		"finding": "what may be excepted",
		"policy":  "an exception as a decision takes it",
		"store":   "its own table",
	}},
	"ledger": {2, map[string]string{
		"store": "rows, key files",
	}},
	"ledger/witness": {2, map[string]string{
		"ledger": "opens checkpoints, cosigns them",
		"store":  "its own table; durable files",
	}},
	"ledger/search": {2, map[string]string{
		"ledger": "reads its records",
		"store":  "its own tables",
	}},
	"setting": {2, map[string]string{
		"custody":       "who decides and why, checked alike",
		"finding":       "what was found, in what is decided again",
		"ledger":        "reads what came in",
		"ledger/search": "finds it",
		"policy":        "rules; decides again by others",
		"store":         "its own tables",
	}},
	"silence": {2, map[string]string{
		"ledger": "follows it; records who has fallen silent",
		"store":  "its own tables",
	}},
	"ledger/atna": {2, map[string]string{
		"finding": "how bad what was found is",
		"ledger":  "renders its records",
		"store":   "its own table; files of lines",
	}},

	"mpps": {2, map[string]string{
		"custody":     "seals what is kept; who decides and why",
		"dicom":       "UIDs, AE titles",
		"dicom/dimse": "statuses",
		"metric":      "counts messages",
		"store":       "its own table",
	}},
	"token": {2, map[string]string{
		"dicom/secure": "which keys are strong enough",
		"fresh":        "issuers' keys in files that change",
	}},

	"bypass": {2, map[string]string{
		"store": "its own table",
	}},
	"firewall": {2, nil},
	"contain": {3, map[string]string{
		"alarm":    "who is contained, what is proposed",
		"asset":    "what devices are declared to need",
		"custody":  "who decides and why, checked alike",
		"firewall": "what packets may pass",
		"metric":   "counts containments",
		"store":    "its own tables",
	}},

	"preview": {2, map[string]string{
		"dicom":         "reads objects",
		"dicom/charset": "decodes whom they are of",
	}},
	"whereabouts": {2, map[string]string{
		"ledger": "follows it; digests under its seal key",
		"store":  "its own tables",
	}},
	"people": {2, map[string]string{
		"custody": "who decides and why, checked alike; two names of one person",
		"store":   "its own tables",
	}},
	"people/openid": {2, map[string]string{
		"people": "who somebody is; roles of groups",
	}},
	"people/passkey": {2, map[string]string{
		"people": "whose a passkey is",
	}},
	"console/login": {4, map[string]string{
		"console/answer": "the interface; statuses of errors",
		"console/guard":  "cookies; why somebody is turned away",
		"console/route":  "its routes",
		"console/view":   "pages",
		"custody":        "who ends a session or token, and why",
		"people":         "who somebody is",
		"people/openid":  "signs in with an issuer",
		"people/passkey": "signs in with a passkey",
	}},
	"console/people": {4, map[string]string{
		"console/answer": "the interface; statuses of errors",
		"console/route":  "its routes",
		"console/view":   "pages",
		"custody":        "who changes an account, and why",
		"people":         "accounts",
	}},
	"console/guard": {4, map[string]string{
		"console/answer": "problems of the interface",
		"console/route":  "who may ask for what",
		"people":         "who asks",
	}},
	"console/watch": {4, map[string]string{
		"console/answer": "errors, JSON",
		"console/route":  "its routes",
		"network":        "who talks to whom, what was unusual",
		"people":         "who may ask",
	}},
	"console/route": {4, map[string]string{
		"people": "who may ask",
	}},

	"console/graph": {4, nil},
	"console/flow": {4, map[string]string{
		"asset":          "who there is",
		"console":        "the status",
		"console/answer": "keeps a stream of events open",
		"console/graph":  "draws the map",
		"console/route":  "who may ask for what",
		"console/view":   "the layout of pages",
		"custody":        "which studies are incomplete",
		"history":        "how it was",
		"network":        "who talks to whom",
		"people":         "who may do what",
		"policy":         "the archives",
	}},
	"console/view": {4, map[string]string{
		"console/answer": "which status an error has",
		"console/route":  "who may ask for what",
		"people":         "who looks, and what they may",
	}},
	"console/containment": {4, map[string]string{
		"console/answer": "reads requests, answers",
		"console/route":  "its routes",
		"console/view":   "its pages",
		"contain":        "orders, proof, proposals",
		"custody":        "who asks and why",
		"firewall":       "levels; the rules as the kernel has them",
		"people":         "who may",
	}},
	"console/incidents": {4, map[string]string{
		"console/answer": "reads requests, answers",
		"console/route":  "who may ask for what",
		"custody":        "who says so and why",
		"console/view":   "the layout of pages",
		"incident":       "the stories",
		"people":         "who may do what",
	}},
	"console/openapi": {4, map[string]string{
		"console/answer": "what a problem looks like",
		"console/route":  "describes the table of routes",
		"people":         "which permission each needs",
	}},
	"monoculture": {3, map[string]string{
		"asset": "what people say of devices",
	}},
	"console/records": {4, map[string]string{
		"console/answer": "reads requests, answers them",
		"console/route":  "the table of routes",
		"console/view":   "pages",
		"custody":        "who signs and why",
		"ledger":         "records, proofs; that somebody reads them",
		"ledger/search":  "finds records",
		"people":         "who may read and sign",
		"review":         "activity reviews; signatures",
	}},
	"paper": {1, nil},
	"console/report": {4, map[string]string{
		"asset":          "which devices there are, and what people say of them",
		"console/answer": "reads requests, answers them",
		"console/route":  "the table of routes",
		"console/view":   "pages",
		"custody":        "what waits",
		"ledger":         "what happened, for how long",
		"ledger/search":  "counts it",
		"monoculture":    "what devices have in common",
		"paper":          "the same as PDF",
		"people":         "who may see it",
		"review":         "whether somebody looks",
	}},
	"console/engines": {4, map[string]string{
		"console/answer": "reads requests, answers them",
		"console/route":  "the table of routes",
		"console/view":   "pages",
		"engine":         "the state of each",
		"judge":          "what each was asked",
		"ledger":         "reads their history",
		"ledger/search":  "finds it",
		"people":         "who may see it",
		"setting":        "how old signatures may be",
	}},
	"console/settings": {4, map[string]string{
		"console/answer": "reads requests, answers them",
		"console/route":  "the table of routes",
		"console/view":   "pages",
		"custody":        "who decides and why, checked alike",
		"finding":        "verdicts in a preview",
		"people":         "who may change what",
		"setting":        "previews, changes, undoes",
	}},
	"console/answer": {4, map[string]string{
		"ledger/search": "which errors are not ours",
		"alarm":         "which errors are not ours",
		"notice":        "which errors are not ours",
		"whereabouts":   "which errors are not ours",
		"contain":       "whose errors are conflicts",
		"setting":       "which errors are not ours",
		"asset":         "which errors are not ours",
		"backup":        "which errors are not ours",
		"bypass":        "which errors are not ours",
		"commitment":    "which errors are not ours",
		"custody":       "which errors are not ours",
		"deadman":       "which errors are not ours",
		"evidence":      "which errors are not ours",
		"exception":     "which errors are not ours",
		"incident":      "which errors are not ours",
		"ledger":        "which errors are not ours",
		"mpps":          "which errors are not ours",
		"people":        "under whose name a decision is made",
		"pki":           "which errors are not ours",
		"review":        "which errors are not ours",

		"firewall":    "which errors are not ours",
		"plan":        "which errors are not ours",
		"ticket":      "which errors are not ours",
		"transparent": "which errors are not ours",
	}},
	"console/network": {4, map[string]string{
		"console/answer": "reads requests, answers them",
		"console/route":  "its part of the table",
		"console/view":   "its pages",
		"console/watch":  "who watches the network",
		"network":        "what was noticed",
		"custody":        "who decides and why",
		"firewall":       "what is no error of the page's",
		"people":         "who may ask",
		"plan":           "the firewall plan",
		"ticket":         "visitors and remote service",
		"transparent":    "whether connections are led here",
	}},

	"deadman": {2, map[string]string{
		"store": "its own table, durable files",
	}},

	"pki": {2, map[string]string{
		"dicom/secure": "fingerprints; which keys are strong enough",
		"store":        "its own table, durable files",
	}},

	"alarm": {2, map[string]string{
		"store": "its own tables",
	}},
	"review": {2, map[string]string{
		"custody": "who signs and why, checked alike",
		"ledger":  "what happened",
		"store":   "its own table",
	}},
	"review/internal/gendocs": {2, map[string]string{
		"review": "writes the rules as a page",
	}},

	"network": {3, map[string]string{
		"asset":  "what devices are declared to talk to",
		"metric": "counts what sensors see",
		"quota":  "so many records of one address",
		"store":  "its own tables",
	}},
	"network/frame": {3, map[string]string{
		"network": "protocols, hardware addresses",
	}},
	"network/track": {3, map[string]string{
		"network":       "reports flows",
		"network/frame": "packets",
	}},
	"network/pcap": {3, map[string]string{
		"network/frame": "reads packets",
	}},
	"network/tail": {3, nil},
	"network/eve": {3, map[string]string{
		"network":      "reports to whoever watches",
		"network/tail": "a file that is rotated",
	}},
	"network/zeek": {3, map[string]string{
		"network":      "reports to whoever watches",
		"network/tail": "a file that is rotated",
	}},
	"network/mud": {3, map[string]string{
		"asset": "flows",
	}},
	"network/hospital": {3, map[string]string{
		"asset":         "what its devices are declared to talk to",
		"network":       "how it is watched",
		"network/frame": "flags, types",
	}},
	"network/internal/gendocs": {3, map[string]string{
		"network": "writes the rules as a page",
	}},
	"network/capture": {3, map[string]string{
		"network":       "reports to whoever watches",
		"network/frame": "reads packets",
		"network/track": "makes conversations of them",
	}},
	"console/alarms": {4, map[string]string{
		"alarm":          "shows them; what people do about them",
		"console/answer": "reads requests, answers them",
		"console/route":  "its routes",
		"console/view":   "its pages",
		"notice":         "who is told, and whether that works",
		"people":         "who may",
	}},
	"notice": {3, map[string]string{
		"alarm":       "what happened to alarms; its own are alarms too",
		"ledger/atna": "syslog, as audit messages go",
		"store":       "its own tables",
	}},
	"backup": {3, map[string]string{
		"custody": "which files there are, and what is in each",
		"ledger":  "records; the restored one is verified",
		"store":   "a copy of the database, durable files",
	}},
	"commitment": {3, map[string]string{
		"custody":      "what is held, spooled or destroyed",
		"dicom":        "UIDs, AE titles",
		"dicom/commit": "requests and reports",
		"dicom/dimse":  "statuses",
		"metric":       "counts requests",
		"store":        "its own tables",
	}},
	"reconcile": {3, map[string]string{
		"custody":      "what is kept here",
		"dicom":        "identifiers, UIDs",
		"dicom/commit": "asks for commitment",
		"dicom/dimse":  "statuses",
		"dicom/ul":     "what a rejection is",
		"ledger":       "what was acknowledged",
		"store":        "its own tables",
	}},
	"evidence": {3, map[string]string{
		"custody":   "what is kept, and encrypted",
		"exception": "what is excepted, until when",
		"ledger":    "records, proofs, the signature",
		"paper":     "pages of a PDF",
		"review":    "activity reviews; how kinds of records match",
		"store":     "the database that the ledger is in",
	}},
	"disarm": {3, map[string]string{
		"dicom":   "where a file's data set begins and ends",
		"finding": "how bad a preamble is",
		"inspect": "what a preamble holds",
		"store":   "durable files",
	}},
	"media": {3, map[string]string{
		"dicom":   "reads a DICOMDIR",
		"finding": "what was found in each file",
	}},
	"judge": {3, map[string]string{
		"dicom":   "UIDs",
		"engine":  "remembers what engines answered",
		"finding": "the report",
		"inspect": "findings",
		"policy":  "verdict",
	}},

	"plan": {3, map[string]string{
		"asset":    "what devices are declared to talk to",
		"custody":  "who decides and why, checked alike",
		"firewall": "enforces it; what it did not allow",
		"store":    "its own table",
	}},
	"ticket": {3, map[string]string{
		"custody":  "who decides and why, checked alike",
		"firewall": "opens what a ticket names",
		"media":    "the sum of an import",
		"store":    "its own tables",
	}},
	"transparent": {3, map[string]string{
		"custody":  "who switches it and why, checked alike",
		"firewall": "the redirects",
		"store":    "its own table",
	}},

	"history": {2, map[string]string{
		"store": "its own tables",
	}},
	"incident": {3, map[string]string{
		"custody": "who says so and why, checked alike",
		"ledger":  "what happened; proofs",
		"store":   "its own tables",
	}},
	"quota": {1, nil},
	"transfer": {3, map[string]string{
		"dicom":       "UIDs",
		"dicom/dimse": "statuses",
		"judge":       "whom objects are of",
		"ledger":      "records",
		"store":       "records within a second",
	}},
	"gateway": {4, map[string]string{
		"asset":        "what devices do is learned",
		"commitment":   "who asks for storage commitment",
		"custody":      "spools and holds",
		"dicom":        "UIDs, AE titles",
		"dicom/commit": "asks archives, reports to devices",
		"dicom/dimse":  "both sides",
		"dicom/secure": "why TLS failed",
		"dicom/ul":     "both sides",
		"exception":    "the habits of each device",
		"finding":      "verdicts",
		"judge":        "judges each object",
		"ledger":       "records",
		"metric":       "counts",
		"mpps":         "keeps messages about procedure steps",
		"query":        "what may be asked of an archive",
		"quota":        "how much one peer may have done",
		"policy":       "admission",
		"store":        "its own tables",
		"transfer":     "what moved, study by study",
	}},
	"webgate": {4, map[string]string{
		"asset":        "tells what each peer does",
		"custody":      "spools and holds",
		"dicom":        "UIDs, AE titles",
		"dicom/dimse":  "statuses",
		"dicom/secure": "why TLS failed",
		"dicom/web":    "both sides",
		"exception":    "the habits of each device",
		"finding":      "verdicts",
		"judge":        "judges each object",
		"ledger":       "records",
		"metric":       "counts",
		"policy":       "admission",
		"query":        "what may be asked of an archive",
		"quota":        "how much one peer may have done",
		"store":        "its own table",
		"token":        "bearer tokens",
		"transfer":     "what moved, study by study",
	}},
	"rescan": {4, map[string]string{
		"custody": "sealed copies; evidence",
		"dicom":   "UIDs",
		"finding": "what was found",
		"judge":   "judges again",
		"ledger":  "records",
		"policy":  "what is harmful",
		"store":   "its own tables",
	}},
	"bridge": {4, map[string]string{
		"dicom":        "reads Part 10 files; UIDs, AE titles",
		"dicom/commit": "answers storage commitment",
		"dicom/dimse":  "performs what it is asked",
		"dicom/ul":     "associations on both sides",
		"dicom/web":    "asks the archive",
		"policy":       "which SOP classes are of storage",
	}},
	"folder": {4, map[string]string{
		"dicom":        "writes Part 10 files",
		"dicom/commit": "answers storage commitment",
		"dicom/dimse":  "receives C-STORE",
		"dicom/ul":     "receives associations",
		"store":        "durable files",
	}},
	"demo": {4, map[string]string{
		"dicom":           "UIDs",
		"dicom/commit":    "asks for storage commitment",
		"dicom/dimse":     "plays the modality",
		"dicom/ul":        "plays the modality",
		"inspect/compose": "clean and hostile objects",
	}},
	"console/held": {4, map[string]string{
		"console/answer": "problems of the interface",
		"console/route":  "who may ask for what",
		"console/view":   "the layout",
		"custody":        "what is held; releases",
		"dicom":          "file meta information of an export",
		"exception":      "a release that makes one",
		"finding":        "shows findings",
		"ledger":         "who looked at what; follows what is held",
		"ledger/search":  "what happened to an object",
		"people":         "under whose name a decision is made",
		"preview":        "what is in an object",
		"store":          "its own table; a release and its exception in one transaction",
		"whereabouts":    "how many images a study has",
	}},
	"console/study": {4, map[string]string{
		"console/answer": "reads requests, answers",
		"console/route":  "who may ask for what",
		"console/view":   "the layout",
		"custody":        "what waits",
		"dicom":          "identifiers, matches",
		"dicom/charset":  "what archives say",
		"dicom/dimse":    "statuses",
		"ledger":         "who looked for what, sealed",
		"people":         "who may ask",
		"store":          "a search and its record",
		"whereabouts":    "where each instance is",
	}},
	"console/device": {4, map[string]string{
		"asset":          "the register",
		"console/answer": "reads requests, answers them",
		"console/route":  "who may ask for what",
		"console/view":   "the layout",
		"custody":        "who decides and why",
		"dicom":          "names of UIDs",
		"exception":      "what is excepted; decisions",
		"finding":        "titles of what is excepted",
		"people":         "which devices somebody may see",
	}},
	"console": {4, map[string]string{
		"alarm":           "what the status has people look at",
		"backup":          "streams backups",
		"console/answer":  "reads requests, answers them",
		"console/held":    "releases and exports, as its pages do",
		"console/route":   "the table of routes",
		"console/openapi": "describes it",
		"people":          "who may ask for each",
		"deadman":         "shows when images went past Cordon; reviews",
		"asset":           "what devices do; decisions",
		"bypass":          "starts, ends and shows the override",
		"commitment":      "what devices wait for; decisions",
		"mpps":            "what is kept for an archive; decisions",
		"custody":         "what is held; releases",
		"dicom/secure":    "when certificates end",
		"pki":             "enrols, renews, revokes, lists",
		"dicom":           "AE titles",
		"evidence":        "packs for a mapping of controls",
		"exception":       "what is excepted; decisions",
		"finding":         "shows findings",
		"front":           "no foreign page uses a browser on this machine",
		"ledger":          "what happened",
		"media":           "the sum of an import",
		"metric":          "writes what is counted",
		"review":          "activity reviews; signatures",
		"policy":          "the device that an exception is about",
		"reconcile":       "what was acknowledged, accounted for",
		"silence":         "who has fallen silent",
	}},

	"cmd/cordon": {5, nil}, // the roof may import everything
}

type listed struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 { // folders of tests alone are not rooms
			all = append(all, p)
		}
	}
}

// wing is the daemon that a package of the fourth floor belongs to: its first
// folder.
func wing(name string) string {
	first, _, _ := strings.Cut(name, "/")
	return first
}

func inside(importPath string) (string, bool) {
	return strings.CutPrefix(importPath, "cordon/")
}

// outside the plan: commands for people who work on the house.
func yard(name string) bool {
	return name == "bench" || strings.HasPrefix(name, "bench/") || name == "interop" || strings.HasPrefix(name, "interop/")
}

func TestImportsRunDown(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name, ok := inside(p.ImportPath)
		if !ok || yard(name) {
			continue
		}
		seen[name] = true
		here, ok := house[name]
		if !ok {
			t.Errorf("package %s is not in the plan: give it a floor in arch_test.go and a line in ARCHITECTURE.md", name)
			continue
		}
		for _, imp := range p.Imports {
			dep, ok := inside(imp)
			if !ok || here.floor == 5 {
				continue
			}
			if _, ok := here.may[dep]; !ok {
				t.Errorf("%s imports %s: not in the plan", name, dep)
			}
			if house[dep].floor > here.floor {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports run down", name, here.floor, dep, house[dep].floor)
			}
			if here.floor == 4 && house[dep].floor == 4 && wing(name) != wing(dep) {
				t.Errorf("%s imports %s: daemons never import each other", name, dep)
			}
		}
		for dep := range here.may {
			if !slices.Contains(p.Imports, "cordon/"+dep) {
				t.Errorf("%s may import %s but does not: take it out of the plan", name, dep)
			}
		}
	}
	for name := range house {
		if !seen[name] {
			t.Errorf("%s is in the plan but not in the tree", name)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if strings.TrimSpace(p.Doc) == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// Judgement and formats stay free of what they must not know.
func TestForbiddenKnowledge(t *testing.T) {
	forbidden := map[string][]string{
		"dicom":   {"net", "database/sql", "os"},
		"finding": {"net", "database/sql", "os"},
		"policy":  {"net", "database/sql", "os", "time", "math/rand"},
		"inspect": {"net", "database/sql", "os/exec"},
		"judge":   {"net", "net/http", "database/sql", "os"},
	}
	for _, p := range packages(t) {
		name, _ := inside(p.ImportPath)
		for _, imp := range p.Imports {
			if slices.Contains(forbidden[name], imp) {
				t.Errorf("%s imports %s", name, imp)
			}
			if imp == "os/exec" && !yard(name) && !strings.Contains(name, "internal/gen") {
				t.Errorf("%s imports os/exec: no shell and no child process anywhere", name)
			}
		}
	}
}

func TestDependenciesAreExplained(t *testing.T) {
	text, err := os.ReadFile("DEPENDENCIES.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{if and (not .Indirect) (not .Main)}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range strings.Fields(string(out)) {
		if !strings.Contains(string(text), module) {
			t.Errorf("DEPENDENCIES.md does not explain %s", module)
		}
	}
}

func TestNoUtilPackages(t *testing.T) {
	for _, p := range packages(t) {
		switch path.Base(p.ImportPath) {
		case "util", "utils", "common", "helpers", "types", "base", "manager", "service", "misc":
			t.Errorf("%s: a package is named after its job", p.ImportPath)
		}
	}
}
