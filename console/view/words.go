package view

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
)

//go:embed strings/*.en.json
var stringFiles embed.FS

// words are all texts of the console, by key.
type words map[string]string

// readWords reads every feature's texts. It panics if a file is wrong or two have
// one key, which every test shows.
func readWords() words {
	out := words{}
	files, err := stringFiles.ReadDir("strings")
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		text, err := stringFiles.ReadFile(path.Join("strings", f.Name()))
		if err != nil {
			panic(err)
		}
		var some map[string]string
		if err := json.Unmarshal(text, &some); err != nil {
			panic(fmt.Sprintf("%s: %v", f.Name(), err))
		}
		for key, s := range some {
			if _, taken := out[key]; taken {
				panic(fmt.Sprintf("%s: %s is in another file as well", f.Name(), key))
			}
			out[key] = s
		}
	}
	return out
}
