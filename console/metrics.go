package console

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metrics writes the Prometheus text format, version 0.0.4. Labels are names
// from the configuration; peers cannot make new ones.
func (c *Console) metrics(w http.ResponseWriter, r *http.Request) {
	s, err := c.status(r.Context())
	if err != nil {
		answer(w, false, "", "the database does not answer")
		return
	}
	var out exposition
	out.status(s, time.Now())
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write(out.Bytes())
}

// exposition collects metrics in the text format.
type exposition struct{ bytes.Buffer }

func (x *exposition) status(s Status, now time.Time) {
	x.gauge("cordon_build_info", "Which Cordon this is; always 1.").sample(1, "version", s.Version)
	x.gauge("cordon_start_time_seconds", "When it started, Unix time.").sample(float64(s.Since.Unix()))
	x.gauge("cordon_accepting", "1 if associations are accepted.").sample(truth(s.Accepting))
	x.gauge("cordon_degraded", "1 if somebody must look.").sample(truth(s.Level != Well))
	x.gauge("cordon_associations", "Associations open now.").sample(float64(s.Associations))

	objects := x.counter("cordon_objects_total", "Objects since the start, by what became of them.")
	objects.sample(float64(s.Objects.Received), "outcome", "received")
	objects.sample(float64(s.Objects.Delivered), "outcome", "delivered")
	objects.sample(float64(s.Objects.Held), "outcome", "held")
	objects.sample(float64(s.Objects.Spooled), "outcome", "spooled")
	objects.sample(float64(s.Objects.Refused), "outcome", "refused")
	x.counter("cordon_received_bytes_total", "Bytes of objects received since the start.").sample(float64(s.Objects.BytesReceived))
	x.counter("cordon_associations_total", "Associations accepted since the start.").sample(float64(s.Objects.Associations))
	x.counter("cordon_associations_rejected_total", "Associations rejected since the start.").sample(float64(s.Objects.Rejected))
	x.counter("cordon_faults_total", "Associations ended by a fault of Cordon since the start; report each.").sample(float64(s.Objects.Panics))

	x.gauge("cordon_vault_objects", "Objects held now.").sample(float64(s.Held))
	x.gauge("cordon_spool_objects", "Objects that wait for an archive now.").sample(float64(s.Spooled))
	x.gauge("cordon_attention_objects", "Objects that an archive refused and a person must decide on.").sample(float64(s.Attention))
	x.gauge("cordon_alarm_objects", "Objects whose copy here has something wrong.").sample(float64(s.Alarms))
	x.gauge("cordon_reviews_due", "Emergency releases that nobody has reviewed.").sample(float64(s.ReviewsDue))
	x.gauge("cordon_reviews_late", "Emergency releases that nobody has reviewed in time.").sample(float64(s.ReviewsLate))
	x.gauge("cordon_unclaimed_blobs", "Files in the data directory that no record names.").sample(float64(s.Unclaimed))
	x.gauge("cordon_bypass", "1 if inspection is bypassed for a device or for all.").sample(truth(len(s.Bypass) > 0))
	x.gauge("cordon_rescan_objects", "Objects delivered unscanned that wait to be judged again.").sample(float64(s.Rescan.Waiting))
	x.gauge("cordon_rescan_bytes", "Bytes of their copies.").sample(float64(s.Rescan.WaitingBytes))
	x.gauge("cordon_recall_objects", "Objects delivered before they were found harmful, not yet acknowledged.").sample(float64(s.Rescan.Recalls))
	x.gauge("cordon_not_rescannable_objects", "Objects delivered unscanned that cannot be judged again, not yet acknowledged.").sample(float64(s.Rescan.NotRescannable))
	x.gauge("cordon_ledger_writable", "1 if the ledger can be written.").sample(truth(s.LedgerError == ""))
	x.gauge("cordon_ledger_intact", "1 if the ledger was intact at the start.").sample(truth(!s.LedgerCut))
	x.archives(s.Archives, now)
	x.engines(s.Engines, now)
	x.devices(s.Devices)
}

func (x *exposition) archives(archives []Archive, now time.Time) {
	up := x.gauge("cordon_archive_up", "1 if the archive answers.")
	for _, a := range archives {
		up.sample(truth(a.Up), "archive", a.Name)
	}
	queued := x.gauge("cordon_archive_queued_objects", "Objects that wait for this archive.")
	for _, a := range archives {
		queued.sample(float64(a.Queued), "archive", a.Name)
	}
	bytes := x.gauge("cordon_archive_queued_bytes", "Bytes that wait for this archive.")
	for _, a := range archives {
		bytes.sample(float64(a.QueuedBytes), "archive", a.Name)
	}
	oldest := x.gauge("cordon_archive_oldest_queued_seconds", "How long the oldest object has waited for this archive.")
	for _, a := range archives {
		oldest.sample(waited(a.OldestQueued, now).Seconds(), "archive", a.Name)
	}
}

func (x *exposition) engines(engines []Engine, now time.Time) {
	up := x.gauge("cordon_engine_up", "1 if the engine answers.")
	for _, e := range engines {
		up.sample(truth(e.Up), "engine", e.Name)
	}
	age := x.gauge("cordon_engine_signatures_age_seconds", "How old the engine's signatures are, where it says.")
	for _, e := range engines {
		if !e.SignaturesAt.IsZero() {
			age.sample(waited(&e.SignaturesAt, now).Seconds(), "engine", e.Name)
		}
	}
}

// devices counts declared devices alone: anybody can make up a new one.
func (x *exposition) devices(devices []Device) {
	objects := x.counter("cordon_device_objects_total", "Objects received from a declared device, ever.")
	for _, d := range devices {
		if !d.Learned {
			objects.sample(float64(d.Objects), "device", d.Name)
		}
	}
	held := x.counter("cordon_device_held_objects_total", "Objects of a declared device that were held, ever.")
	for _, d := range devices {
		if !d.Learned {
			held.sample(float64(d.Held), "device", d.Name)
		}
	}
}

func waited(since *time.Time, now time.Time) time.Duration {
	if since == nil {
		return 0
	}
	return max(0, now.Sub(*since))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// family is one metric under its name.
type family struct {
	x    *exposition
	name string
}

func (x *exposition) gauge(name, help string) family   { return x.family(name, "gauge", help) }
func (x *exposition) counter(name, help string) family { return x.family(name, "counter", help) }

func (x *exposition) family(name, kind, help string) family {
	fmt.Fprintf(x, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	return family{x, name}
}

// sample writes one value; labels are names and values in turn.
func (f family) sample(v float64, labels ...string) {
	f.x.WriteString(f.name)
	for i := 0; i < len(labels); i += 2 {
		open := ","
		if i == 0 {
			open = "{"
		}
		fmt.Fprintf(f.x, `%s%s="%s"`, open, labels[i], labelEscapes.Replace(labels[i+1]))
	}
	if len(labels) > 0 {
		f.x.WriteByte('}')
	}
	f.x.WriteString(" " + strconv.FormatFloat(v, 'f', -1, 64) + "\n")
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
