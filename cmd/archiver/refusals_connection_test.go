package main

import "testing"

// TestLostConnections reads sources that close connections that were used before, and
// refuse a signature that they have seen.
func TestLostConnections(t *testing.T) {
	t.Parallel()
	data := generated(t, 8, 2000, 7)
	for _, spec := range []string{"kept-closed=0.2", "signed-once", "kept-closed=0.2,signed-once"} {
		for _, cloud := range []string{graph, compute} {
			t.Run(cloud+" "+spec, func(t *testing.T) {
				t.Parallel()
				api := faulty(t, data, spec, nil)
				url := newServer(t, api)
				in := install(t, url)
				if cloud == compute {
					in = in.ofAlibaba(url)
				}
				end := archiveDay(in, url, asBinary, theDaySpan())
				endedAs(in, api, end, ended{exitDone, map[string]int64{"complete": 8 * 24}, nil})
				// A request that is sent again is signed again.
				if stats := api.Stats(); cloud == compute && stats.Invalid > 0 {
					t.Errorf("%d requests had a nonce that was used before", stats.Invalid)
				}
			})
		}
	}
}
