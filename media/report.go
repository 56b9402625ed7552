package media

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"cordon/finding"
)

// Summary is what the ledger and a person are told of an import. It holds no
// names of files and no patient data.
type Summary struct {
	By         string `json:"by"` // of whoever signed in; at the control socket, as asserted
	Label      string `json:"label,omitempty"`
	Directory  string `json:"dicomdir_sha256,omitempty"`
	Archive    string `json:"archive"`
	CallingAE  string `json:"calling_ae"`
	Complete   bool   `json:"complete"` // false if it was interrupted, or could not go on
	Files      int    `json:"files"`    // all that was met or missed
	Objects    int    `json:"objects"`
	Stored     int    `json:"stored"`
	Held       int    `json:"held"`
	Listed     int    `json:"listed"` // of these stay on the medium
	Refused    int    `json:"refused"`
	Failed     int    `json:"failed"`
	Unreadable int    `json:"unreadable"`
	Bytes      int64  `json:"bytes"`

	Studies []string `json:"studies,omitempty"` // that objects of it were stored or held of; the first 64
}

// maxStudies bounds the studies that a Summary names.
const maxStudies = 64

// study names a study once.
func (s *Summary) study(uid string) {
	if uid != "" && len(uid) <= 64 && len(s.Studies) < maxStudies && !slices.Contains(s.Studies, uid) {
		s.Studies = append(s.Studies, uid)
	}
}

// Add counts an item.
func (s *Summary) Add(it Item) {
	s.Files++
	s.Bytes += it.Report.Bytes
	if it.Kind == Object {
		s.Objects++
	}
	if it.Report.Verdict == finding.Refuse {
		s.Refused++
	}
	if it.Outcome == Stored || it.Outcome == Held {
		s.study(it.Report.Identity.StudyInstanceUID)
	}
	switch it.Outcome {
	case Stored:
		s.Stored++
	case Held:
		s.Held++
	case Listed:
		s.Listed++
	case Failed:
		s.Failed++
	case Unreadable:
		s.Unreadable++
	}
}

// Page is a report for people: one HTML page that needs nothing else.
type Page struct {
	Site      string
	Medium    string // where it was read
	Time      time.Time
	Summary   Summary
	Directory DirectoryFile
	Items     []Item
}

// shownItems is how many items of one section the page lists; the rest is counted.
const shownItems = 2000

//go:embed report.html
var reportHTML string

// Write writes the page. Everything from the medium is escaped, and the page's
// own policy forbids scripts, images and connections.
func (p Page) Write(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"count": count, "size": size, "title": title, "name": printable,
	}).Parse(reportHTML)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return t.Execute(w, p)
}

// printable is a name of the medium without characters that would show it as
// another, such as those that turn the direction of writing.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name)
}

// Sections are the items in groups, the most urgent first, empty ones left out.
func (p Page) Sections() []Section {
	all := []Section{
		{Title: "Held in the vault", Says: "Objects that need two people's decision. They are in no archive.", Class: "bad"},
		{Title: "Not stored", Says: "Objects that should be in the archive or in the vault, and are not. Import again once the reason is gone.", Class: "look"},
		{Title: "Could not be read", Says: "What the DICOMDIR names and is missing, what leads out of the medium, and what the medium does not give.", Class: "look"},
		{Title: "Dangerous and not DICOM", Says: "Programs, scripts and other payloads. They were not copied. Do not open them.", Class: "bad"},
		{Title: "Left on the medium", Says: "Documents, viewers' data and directories. They were not copied.", Class: ""},
		{Title: "Stored", Says: "Objects that the gateway took for the archive.", Class: "good"},
	}
	for _, it := range p.Items {
		s := &all[section(it)]
		if s.Count++; s.Count <= shownItems {
			s.Items = append(s.Items, it)
		}
	}
	var out []Section
	for _, s := range all {
		if s.Count > 0 {
			s.More = s.Count - len(s.Items)
			out = append(out, s)
		}
	}
	return out
}

// section is an item's index in Sections.
func section(it Item) int {
	switch {
	case it.Outcome == Held:
		return 0
	case it.Outcome == Failed:
		return 1
	case it.Outcome == Unreadable:
		return 2
	case it.Outcome == Stored:
		return 5
	case it.Report.Verdict != finding.Admit:
		return 3
	}
	return 4
}

// Section is a group of items.
type Section struct {
	Title, Says string
	Class       string // of the page's style: good, look, bad or none
	Count, More int    // all, and those that are not in Items
	Items       []Item
}

// Answer is the sentence for whoever has time for one.
func (p Page) Answer() string {
	s := p.Summary
	switch {
	case !s.Complete:
		return "The import did not come to its end."
	case s.Held > 0:
		return fmt.Sprintf("%s held, %s stored.", count(s.Held, "object"), count(s.Stored, "object"))
	case s.Failed > 0 || s.Unreadable > 0 || s.Refused > 0:
		return fmt.Sprintf("%s stored; something is missing.", count(s.Stored, "object"))
	}
	return fmt.Sprintf("All is well: %s stored.", count(s.Stored, "object"))
}

// Class is the page's style: good, look or bad.
func (p Page) Class() string {
	s := p.Summary
	switch {
	case s.Held > 0 || s.Refused > 0:
		return "bad"
	case !s.Complete || s.Failed > 0 || s.Unreadable > 0:
		return "look"
	}
	return "good"
}

// count writes a number of things.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Says explains an item in one line, beside what was found in it.
func (it Item) Says() string {
	switch {
	case it.Err != nil:
		return it.Err.Error()
	case it.Detail != "":
		return it.Detail
	case it.Report.Fatal != nil && it.Report.Verdict != finding.Admit:
		return "structure lost: " + strings.ToLower(title(*it.Report.Fatal))
	case it.Kind == Directory:
		return "directory of the medium"
	}
	return ""
}

// title is a finding's title.
func title(f finding.Finding) string {
	k, _ := finding.Lookup(f.ID)
	return k.Title
}

// size writes a number of bytes for people, in powers of 1000.
func size(n int64) string {
	const units = " kMGTP"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), 0
	for f >= 1000 && unit < len(units)-1 {
		f /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", f, units[unit])
}
