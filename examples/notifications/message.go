// Tells a user something from a back end in Go, with nothing but its standard library:
//
//	go run examples/notifications/message.go ann "Tom & Ann: your parcel is here" parcel-17
//
// message.json is what this command posts. The struct has no omitempty: fields that a type doesn't use are ignored.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

// Message is all that may be said to POST /publish.
type Message struct {
	Type      string   `json:"type"`
	TargetIDs []string `json:"target_ids"`
	RoomID    string   `json:"room_id"`
	ID        string   `json:"id"`
	To        string   `json:"to"`
	Ephemeral bool     `json:"ephemeral"`
	Data      any      `json:"data"`
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: message.go USER TEXT ID")
	}
	message := Message{
		Type:      "user",
		TargetIDs: []string{os.Args[1]},
		// A name of its own: sent again under it, the message has no second effect.
		ID:   os.Args[3],
		Data: map[string]any{"text": os.Args[2]},
	}
	body, err := json.Marshal(message)
	if err != nil {
		log.Fatal(err)
	}
	answer, err := http.Post("http://127.0.0.1:8080/publish", "application/json", bytes.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		log.Fatalf("not published: %s %s", answer.Status, said)
	}
	fmt.Printf("%s\n", said)
}
