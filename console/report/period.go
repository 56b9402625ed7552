package report

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"cordon/console/answer"
)

// Period is a time that a report is about, in days where Cordon runs.
type Period struct {
	ID   string    `json:"id"`   // "2026-01", "2026-Q1", "2026-01-05_2026-01-11"
	Name string    `json:"name"` // "January 2026"
	From time.Time `json:"from"`
	To   time.Time `json:"to"` // excluded
}

var quarterForm = regexp.MustCompile(`^([0-9]{4})-Q([1-4])$`)

// readPeriod reads a period from a URL; this month if it names none.
func readPeriod(v url.Values, now time.Time) (Period, error) {
	switch {
	case v.Get("quarter") != "":
		m := quarterForm.FindStringSubmatch(v.Get("quarter"))
		if m == nil {
			return Period{}, fmt.Errorf("%w: %.40q is not a quarter; write 2026-Q1", answer.ErrRequest, v.Get("quarter"))
		}
		year, _ := strconv.Atoi(m[1]) // the form has them as digits
		q, _ := strconv.Atoi(m[2])
		return quarter(year, q), nil
	case v.Get("from") != "" || v.Get("to") != "":
		return span(v.Get("from"), v.Get("to"))
	case v.Get("month") != "":
		t, err := time.ParseInLocation("2006-01", v.Get("month"), time.Local)
		if err != nil {
			return Period{}, fmt.Errorf("%w: %.40q is not a month; write 2026-01", answer.ErrRequest, v.Get("month"))
		}
		return month(t), nil
	}
	return month(now), nil
}

func month(t time.Time) Period {
	t = t.In(time.Local)
	from := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.Local)
	return Period{from.Format("2006-01"), from.Format("January 2006"), from, from.AddDate(0, 1, 0)}
}

func quarter(year, q int) Period {
	from := time.Date(year, time.Month(3*q-2), 1, 0, 0, 0, 0, time.Local)
	return Period{fmt.Sprintf("%d-Q%d", year, q), fmt.Sprintf("quarter %d of %d", q, year), from, from.AddDate(0, 3, 0)}
}

// longest is how long a period may be.
const longest = 5 * 366 * 24 * time.Hour

func span(first, last string) (Period, error) {
	from, err := time.ParseInLocation(time.DateOnly, first, time.Local)
	if err != nil {
		return Period{}, fmt.Errorf("%w: from: %.40q is not a day; write 2026-01-05", answer.ErrRequest, first)
	}
	to, err := time.ParseInLocation(time.DateOnly, last, time.Local)
	if err != nil {
		return Period{}, fmt.Errorf("%w: to: %.40q is not a day; write 2026-01-11", answer.ErrRequest, last)
	}
	p := Period{first + "_" + last, first + " to " + last, from, to.AddDate(0, 0, 1)}
	if !p.From.Before(p.To) || p.To.Sub(p.From) > longest {
		return Period{}, fmt.Errorf("%w: a period ends after it begins, and within 5 years", answer.ErrRequest)
	}
	return p, nil
}

// before is the period of the same kind before it.
func (p Period) before() Period {
	switch {
	case quarterForm.MatchString(p.ID):
		t := p.From.AddDate(0, -3, 0)
		return quarter(t.Year(), (int(t.Month())+2)/3)
	case p.From.Day() == 1 && p.From.AddDate(0, 1, 0).Equal(p.To):
		return month(p.From.AddDate(0, -1, 0))
	}
	days := int(p.To.Sub(p.From).Hours()/24 + 0.5)
	from := p.From.AddDate(0, 0, -days)
	first, last := from.Format(time.DateOnly), p.From.AddDate(0, 0, -1).Format(time.DateOnly)
	return Period{first + "_" + last, first + " to " + last, from, p.From}
}

// after is the period that follows it.
func (p Period) after() Period {
	switch {
	case quarterForm.MatchString(p.ID):
		return quarter(p.To.Year(), (int(p.To.Month())+2)/3)
	case p.From.Day() == 1 && p.From.AddDate(0, 1, 0).Equal(p.To):
		return month(p.To)
	}
	days := int(p.To.Sub(p.From).Hours()/24 + 0.5)
	to := p.To.AddDate(0, 0, days)
	first, last := p.To.Format(time.DateOnly), to.AddDate(0, 0, -1).Format(time.DateOnly)
	return Period{first + "_" + last, first + " to " + last, p.To, to}
}

// Query is the period in a URL.
func (p Period) Query() string {
	switch {
	case quarterForm.MatchString(p.ID):
		return "quarter=" + p.ID
	case p.From.Day() == 1 && p.From.AddDate(0, 1, 0).Equal(p.To):
		return "month=" + p.ID
	}
	return "from=" + p.From.Format(time.DateOnly) + "&to=" + p.To.AddDate(0, 0, -1).Format(time.DateOnly)
}
