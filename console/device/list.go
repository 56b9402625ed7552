package device

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cordon/asset"
)

// perPage is how many devices a page lists.
const perPage = 100

// filter is what the list is narrowed to, as the address says.
type filter struct{ Text, State, Criticality, After string }

func (f filter) Any() bool { return f.Text != "" || f.State != "" || f.Criticality != "" }

func (f filter) query(after string) string {
	q := url.Values{}
	for name, value := range map[string]string{"text": f.Text, "state": f.State, "criticality": f.Criticality, "after": after} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return "/devices?" + q.Encode()
}

// fits reports whether a device is among those that are looked for.
func (f filter) fits(d line) bool {
	if f.State != "" && string(d.State) != f.State || f.Criticality != "" && string(cmp.Or(d.Said.Criticality, asset.Normal)) != f.Criticality {
		return false
	}
	for _, s := range []string{d.Name, string(d.AETitle), d.Said.Vendor, d.Said.Model, d.Said.Owner, d.Said.Location, d.Said.Modality, d.Said.Serial, strings.Join(d.Addresses, " ")} {
		if strings.Contains(strings.ToLower(s), strings.ToLower(f.Text)) {
			return true
		}
	}
	return false
}

// line is one device of the list.
type line struct {
	asset.Device
	Said  asset.Inventory
	Level string // how far it is contained
}

// list is what the page shows.
type list struct {
	Filter  filter
	Lines   []line
	All     int // devices, of those that whoever looks may see
	Waiting int // for a person to decide
	Next    string
	First   string
}

func (s *pages) showList(w http.ResponseWriter, r *http.Request) {
	devices, said, err := s.visible(r.Context())
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	q := r.URL.Query()
	l := list{Filter: filter{q.Get("text"), q.Get("state"), q.Get("criticality"), q.Get("after")}, All: len(devices)}
	var lines []line
	for _, d := range devices {
		n := line{Device: d, Said: said[d.Name]}
		if d.State == asset.Learned {
			l.Waiting++
		}
		if s.Level != nil {
			n.Level = s.Level(d.Name)
		}
		if l.Filter.fits(n) {
			lines = append(lines, n)
		}
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), strings.Compare(a.Name, b.Name))
	})
	l.page(lines)
	s.list.Show(w, r, l)
}

// order puts what wants somebody first: the contained, those that wait, the rest.
func order(d line) int {
	switch {
	case d.Level != "":
		return 0
	case d.State == asset.Learned:
		return 1
	}
	return 2
}

// page cuts the page out that follows the device of a name.
func (l *list) page(lines []line) {
	if after := l.Filter.After; after != "" {
		l.First = l.Filter.query("")
		if i := slices.IndexFunc(lines, func(d line) bool { return d.Name == after }); i >= 0 {
			lines = lines[i+1:]
		}
	}
	if len(lines) > perPage {
		lines = lines[:perPage]
		l.Next = l.Filter.query(lines[perPage-1].Name)
	}
	l.Lines = lines
}
