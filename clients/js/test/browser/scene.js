/**
 * What the pictures show: a bit of a conversation, somebody who was away, and somebody who still is.
 */

/** @param {import("./page_under_test.js").PageUnderTest} page */
export async function play(page) {
  const { ann, bob } = page;
  await ann.write("#lobby", "Lunch at the lake today?");
  await bob.message("Lunch at the lake today?");
  await bob.write("#lobby", "Gladly. Which way do we go?");
  await ann.message("Gladly. Which way do we go?");
  await bob.pullThePlug();
  await ann.write("#lobby", "Along the river, it is shorter.");
  await ann.write("#lobby", "I bring bread and cheese.");
  await ann.write("bob", "Could you bring cups?");
  await ann.outcome("Could you bring cups?", "waits");
  await bob.plugIn();
  await bob.missed(3);
  await bob.write("#lobby", "I have it all.");
  await ann.message("I have it all.");
}
