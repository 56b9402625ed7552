package console

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"cordon/custody"
	"cordon/finding"
)

// What one page shows at most; the command line shows all.
const (
	shownHeld    = 500 // objects read for the list of studies
	shownStudies = 25
	shownDevices = 50
)

//go:embed page.html style.css
var files embed.FS

// view is what the page shows.
type view struct {
	Status
	Now     time.Time
	Studies []heldStudy
	More    int // studies or objects that did not fit
}

// heldStudy is a study that is incomplete because something of it is held.
type heldStudy struct {
	UID     string
	Objects int
	Since   time.Time
	From    string // device and AE title
	Archive string
	Titles  []string // of what was found
	Worst   finding.Severity
	ID      string // of the first object, for the command line
}

func (c *Console) page(w http.ResponseWriter, r *http.Request) {
	v, err := c.view(r.Context())
	if err != nil {
		word(w, false, "", "the database does not answer")
		return
	}
	var out bytes.Buffer
	if err := pageTemplate(v.Now).ExecuteTemplate(&out, "page.html", v); err != nil {
		word(w, false, "", "the page cannot be made")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(out.Bytes())
}

func style(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, files, "style.css")
}

func (c *Console) view(ctx context.Context) (view, error) {
	s, err := c.status(ctx)
	if err != nil {
		return view{}, err
	}
	held, err := c.parts.Custody.List(ctx, custody.Filter{States: []custody.State{custody.Held}, Limit: shownHeld})
	if err != nil {
		return view{}, err
	}
	v := view{Status: s, Now: time.Now(), Studies: studies(held)}
	v.More = max(0, s.Held-len(held))
	if extra := len(v.Studies) - shownStudies; extra > 0 {
		v.Studies, v.More = v.Studies[:shownStudies], v.More+extra
	}
	slices.SortStableFunc(v.Devices, func(a, b Device) int {
		return cmp.Or(cmp.Compare(truth(a.Learned), truth(b.Learned)), b.LastSeen.Compare(a.LastSeen))
	})
	v.Devices = v.Devices[:min(len(v.Devices), shownDevices)]
	return v, nil
}

// studies groups held objects, the latest study first.
func studies(held []custody.Object) []heldStudy {
	var out []heldStudy
	for _, o := range held {
		i := slices.IndexFunc(out, func(s heldStudy) bool {
			return s.UID == o.StudyInstanceUID && s.Archive == o.Archive && s.From == from(o)
		})
		if i < 0 {
			i = len(out)
			out = append(out, heldStudy{UID: o.StudyInstanceUID, Since: o.HeldAt, From: from(o), Archive: o.Archive, ID: o.ID})
		}
		out[i].add(o)
	}
	slices.Reverse(out)
	return out
}

func from(o custody.Object) string {
	if o.Device == "" || o.Device == o.CallingAE {
		return o.CallingAE
	}
	return o.Device + " (" + o.CallingAE + ")"
}

// add counts an object and names what was found in it, payloads first.
func (s *heldStudy) add(o custody.Object) {
	s.Objects++
	for _, f := range o.Findings {
		kind, _ := finding.Lookup(f.ID)
		if f.Severity == finding.Info || slices.Contains(s.Titles, kind.Title) {
			continue
		}
		if f.Severity > s.Worst {
			s.Worst = f.Severity
			s.Titles = slices.Insert(s.Titles, 0, kind.Title)
		} else {
			s.Titles = append(s.Titles, kind.Title)
		}
	}
}

// pageTemplate parses the page with the words that depend on now.
func pageTemplate(now time.Time) *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"ago":   func(t any) string { return ago(t, now) },
		"clock": func(t time.Time) string { return t.Format("15:04:05") },
		"short": short,
		"bytes": bytesText,
		"join":  strings.Join,
		"thin":  thin,
	}).ParseFS(files, "page.html"))
}

// ago says how long ago a time was; a zero or missing time is "never".
func ago(t any, now time.Time) string {
	if p, ok := t.(*time.Time); ok {
		if p == nil {
			return "never"
		}
		t = *p
	}
	at, _ := t.(time.Time)
	if at.IsZero() {
		return "never"
	}
	return age(now.Sub(at))
}

// short is the end of a UID, by which people tell studies apart.
func short(uid string) string {
	const most = 14
	if len(uid) <= most {
		return uid
	}
	return "…" + uid[len(uid)-most:]
}

// thin groups the digits of a count by thin spaces.
func thin(n any) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u2009" + text[i:]
	}
	return text
}

// bytesText writes bytes in powers of 1000.
func bytesText(n uint64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1000, 0
	for ; f >= 1000; i++ {
		f /= 1000
	}
	return fmt.Sprintf("%.1f %cB", f, units[i])
}
