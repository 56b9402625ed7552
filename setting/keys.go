package setting

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/custody"
	"cordon/policy"
)

// Kind is a row of the table of keys: everything there is to say about one.
type Kind struct {
	Key     string   `json:"key"` // as in the configuration file
	Title   string   `json:"title"`
	Means   string   `json:"means"`
	Default string   `json:"default"`
	Words   []string `json:"words,omitempty"` // that it may be; none: it is a number
	Least   int      `json:"least,omitempty"` // of a number
	Most    int      `json:"most,omitempty"`
	Unit    string   `json:"unit,omitempty"`    // "d", "s": written after the number
	Weakens []string `json:"weakens,omitempty"` // words that let something through which others keep back: two people
	Objects bool     `json:"objects"`           // decides what becomes of objects, so that a preview says what it would have changed
}

// keys is every setting there is. What delivers malicious objects is not among
// them.
var keys = [...]Kind{
	{Key: "policy.malicious", Title: "Malicious objects", Default: "hold", Words: []string{"hold", "refuse"}, Objects: true,
		Means: "What becomes of an object with a malicious finding, or that an engine calls malicious. hold keeps it in the vault and lets the rest of the study go on; refuse tells the device that it was not taken. None is ever delivered."},
	{Key: "policy.suspicious", Title: "Suspicious objects", Default: "hold", Words: []string{"hold", "refuse", "deliver"}, Weakens: []string{"deliver"}, Objects: true,
		Means: "What becomes of an object with a suspicious finding and none that is malicious. deliver lets it through with an alarm."},
	{Key: "policy.unscanned", Title: "Objects that an engine did not scan", Default: "deliver", Words: []string{"deliver", "hold"}, Objects: true,
		Means: "What becomes of an object that an engine could not scan, or did not answer about in time, or whose containers were not opened to their end. deliver lets it through with an alarm, and judges it again once the engines answer; hold stops imaging while an engine is away."},
	{Key: "policy.unparseable", Title: "Objects that cannot be read to their end", Default: "hold", Words: []string{"hold", "deliver"}, Weakens: []string{"deliver"}, Objects: true,
		Means: "What becomes of an object whose structure is lost before its end. What follows that place was not looked at."},
	{Key: "engines.pixel_data", Title: "Engines see uncompressed pixel data", Default: "false", Words: []string{"false", "true"},
		Means: "Whether outside engines are sent uncompressed pixel data as well, which is nearly all there is of an image and holds no format that they know. true slows every object down."},
	{Key: "engines.deadline", Title: "Time for the engines", Default: "10s", Least: 1, Most: 60, Unit: "s",
		Means: "How long after an object's last byte the engines may still answer. What they have not scanned by then is unscanned."},
	{Key: "engines.signature_age", Title: "Oldest signatures", Default: "7d", Least: 1, Most: 60, Unit: "d",
		Means: "From which age an engine's signatures are an alarm. A scanner that has silently fallen behind looks exactly like one that works."},
	{Key: "audit.review.every", Title: "Activity reviews", Default: "7d", Least: 1, Most: 92, Unit: "d",
		Means: "How many days an activity review is about. It holds from the next review on."},
}

// Kinds is the table of keys. The caller may change its copy.
func Kinds() []Kind { return slices.Clone(keys[:]) }

func find(key string) (Kind, bool) {
	i := slices.IndexFunc(keys[:], func(k Kind) bool { return k.Key == key })
	if i < 0 {
		return Kind{}, false
	}
	return keys[i], true
}

// read returns a value in the one form in which it is written, or why it is none.
func (k Kind) read(value string) (text, wrong string) {
	value = strings.ToLower(strings.TrimSpace(value))
	if len(k.Words) > 0 {
		if slices.Contains(k.Words, value) {
			return value, ""
		}
		return "", fmt.Sprintf("%.40q is not known here; write %s", value, strings.Join(k.Words, " or "))
	}
	n, err := strconv.Atoi(strings.TrimSuffix(value, k.Unit))
	if err != nil || n < k.Least || n > k.Most {
		return "", fmt.Sprintf("%.40q is not from %d%s to %d%s; write it as %s", value, k.Least, k.Unit, k.Most, k.Unit, k.Default)
	}
	return strconv.Itoa(n) + k.Unit, ""
}

// parse is read with an error for whoever asked.
func (k Kind) parse(value string) (string, error) {
	text, wrong := k.read(value)
	if wrong != "" {
		return "", fmt.Errorf("%w: %s: %s", custody.ErrRequest, k.Key, wrong)
	}
	return text, nil
}

// Parse returns a value of a key in the one form in which it is written, or what is
// wrong with it and what to write instead.
func Parse(key, value string) (text, wrong string) {
	k, ok := find(key)
	if !ok {
		return "", "no such setting"
	}
	return k.read(value)
}

// Of are the settings where only a configuration file decides.
func Of(declared map[string]string) (Values, error) {
	texts := map[string]string{}
	for _, k := range keys {
		texts[k.Key] = k.Default
		if text, ok := declared[k.Key]; ok {
			texts[k.Key] = text
		}
	}
	return values(texts)
}

// weakens reports whether a change lets something through that was kept back.
func (k Kind) weakens(was, now string) bool {
	return slices.Contains(k.Weakens, now) && !slices.Contains(k.Weakens, was)
}

// values are the settings that texts of all keys stand for.
func values(texts map[string]string) (v Values, err error) {
	number := func(key string) int {
		k, _ := find(key)
		text, err2 := k.parse(texts[key])
		if err2 != nil {
			err = err2
			return 0
		}
		n, _ := strconv.Atoi(strings.TrimSuffix(text, k.Unit)) // parse has read it
		return n
	}
	action := func(key string) policy.Action {
		k, _ := find(key)
		if _, err2 := k.parse(texts[key]); err2 != nil {
			err = err2
		}
		return map[string]policy.Action{"deliver": policy.Deliver, "refuse": policy.Refuse}[texts[key]] // else hold, the zero Action
	}
	v.Rules = policy.Rules{
		Malicious:   action("policy.malicious"),
		Suspicious:  action("policy.suspicious"),
		Unscanned:   action("policy.unscanned"),
		Unparseable: action("policy.unparseable"),
	}
	v.PixelData = texts["engines.pixel_data"] == "true"
	v.Deadline = time.Duration(number("engines.deadline")) * time.Second
	v.SignatureAge = time.Duration(number("engines.signature_age")) * 24 * time.Hour
	v.ReviewEvery = number("audit.review.every")
	return v, err
}
