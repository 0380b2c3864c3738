package simulate

import (
	"net/http"
	"strings"
	"time"
)

// target is the version of a function that a URN names.
type target struct {
	function int // its index
	version  int // index in versions
}

// published are the versions other than latest, for functions with several. In the
// real cloud, users choose these names.
var published = []string{"v1", "v2"}

// versions are the versions of each function, latest first.
func (f *Faults) versions() []string {
	if f.versioned == "" || f.versioned == "one" {
		return []string{"latest"}
	}
	return append([]string{"latest"}, published...)
}

// ofVersion is the URN of a version of a function.
func (s *Server) ofVersion(function int, version string) string {
	return strings.TrimSuffix(s.urns[function], "latest") + version
}

// ofVersion reports whether the queried version lists a record. Each record was
// run by one version.
func (f *faulter) ofVersion(q query, i *item) bool {
	switch f.versioned {
	case "own":
	case "latest":
		if q.version == 0 {
			return true
		}
	default:
		return true
	}
	return i.draw.of(drawVersion).upTo(int64(len(published)+1)) == int64(q.version)
}

// listVersions answers GET …/versions, latest first.
func (s *Server) listVersions(w http.ResponseWriter, c call) error {
	versions := s.options.Faults.versions()
	from, to, err := slice(c, "maxitems", maxItems, maxItems, len(versions))
	if err != nil {
		return err
	}
	list := make([]functionJSON, 0, to-from)
	for _, version := range versions[from:to] {
		list = append(list, s.function(c.function, version))
	}
	return answerJSON(w, http.StatusOK, map[string]any{"versions": list, "next_marker": to, "count": len(versions)})
}

// listAliases answers GET …/aliases with a bare list (page: Querying All Version
// Aliases of a Function). A function with several versions has one alias, for two
// of them, with the fields of the SDK's model ListVersionAliasResult.
func (s *Server) listAliases(w http.ResponseWriter, c call) error {
	aliases := []map[string]any{}
	if len(s.options.Faults.versions()) > 1 {
		aliases = append(aliases, map[string]any{
			"name": "live", "version": published[0], "description": "what is called",
			"last_modified":              s.configured().Format(time.RFC3339),
			"alias_urn":                  s.ofVersion(c.function, "!live"),
			"additional_version_weights": map[string]int{published[1]: 10},
		})
	}
	return answerJSON(w, http.StatusOK, aliases)
}
