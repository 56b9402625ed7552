package report

import (
	"cmp"
	"embed"
	"fmt"
	"math"
	"net/http"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/people"
)

//go:embed report.html
var files embed.FS

// pages is the page of the report.
type pages struct {
	Parts
	page *view.Page
}

func pageRoutes(p Parts) []route.Route {
	s := pages{p, p.View.Page(files, "report.html")}
	return []route.Route{{Method: "GET", Pattern: "/report", May: people.ReportRead, Handler: s.show}}
}

// shown is what the page shows.
type shown struct {
	Report
	Previous, Following string // queries of the periods before and after; "" for one that has not begun
	Month, Quarter      string // of the period's beginning
	Query               string
	Shares              picture // of what devices have in common
	Attack              *attack // the one that takes most; nil if nothing is known
}

func (s pages) show(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	period, err := readPeriod(r.URL.Query(), now)
	var made Report
	if err == nil {
		made, err = s.Make(r.Context(), period, answer.Caller(r), now)
	}
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	d := shown{
		Report: made, Query: period.Query(), Previous: period.before().Query(),
		Month: month(period.From).Query(), Quarter: quarter(period.From.Year(), (int(period.From.Month())+2)/3).Query(),
		Shares: shares(made.Monoculture), Attack: attackOf(made.Monoculture),
	}
	if after := period.after(); after.From.Before(now) {
		d.Following = after.Query()
	}
	s.page.Show(w, r, d)
}

// Text is a figure's value for people.
func (f Figure) Text() string { return cmp.Or(f.Word, numberText(f.Value)) }

// BeforeText is the same of the period before.
func (f Figure) BeforeText() string { return numberText(f.Before) }

func numberText(v *float64) string {
	switch {
	case v == nil:
		return "–"
	case *v == math.Trunc(*v):
		return view.Thin(int64(*v))
	case *v < 10:
		return fmt.Sprintf("%.1f", *v)
	}
	return view.Thin(int64(math.Round(*v)))
}
