package report

import (
	"fmt"
	"math"
	"strings"
)

// find returns a figure by its id; the zero Figure if there is none.
func (r Report) find(id string) Figure {
	for _, s := range r.Sections {
		for _, f := range s.Figures {
			if f.ID == id {
				return f
			}
		}
	}
	return Figure{}
}

// summary answers in sentences, for whoever has time for nothing else.
func (m *making) summary() {
	r := &m.out
	of := func(id string) int64 {
		if v := r.find(id).Value; v != nil {
			return int64(math.Round(*v))
		}
		return 0
	}
	r.Says = []string{
		fmt.Sprintf("%s: %s delivered, %s held, %s found harmful only after delivery.", capital(r.Period.Name),
			count(of("delivered"), "object was", "objects were"), count(of("held"), "was", "were"), count(of("late_hits"), "was", "were")),
		fmt.Sprintf("The images of %s are inspected; %s known to nobody.", count(of("devices_inspected"), "device", "devices"), count(of("devices_undeclared"), "device is", "devices are")),
	}
	down := of("not_running")
	switch {
	case down == 0 && of("archive_away") == 0:
		r.Says = append(r.Says, "Imaging could flow all the time.")
	default:
		r.Says = append(r.Says, fmt.Sprintf("Cordon did not run for %s; an archive did not answer for %s, and its images were kept here.", minutesText(down), minutesText(of("archive_away"))))
	}
	if past := r.find("past").Note; past != "" {
		r.Says = append(r.Says, past)
	}
	if w := r.Monoculture.Worst; w != nil {
		r.Says = append(r.Says, w.Says)
	}
	look := 0
	for _, s := range r.Sections {
		for _, f := range s.Figures {
			if f.State == Look {
				look++
			}
		}
	}
	if look > 0 {
		r.Says = append(r.Says, fmt.Sprintf("Somebody should look at %s below.", count(int64(look), "figure", "figures")))
	}
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// minutesText writes minutes as people say them.
func minutesText(n int64) string {
	if n < 120 {
		return fmt.Sprintf("%d min", n)
	}
	return fmt.Sprintf("%d h %d min", n/60, n%60)
}
