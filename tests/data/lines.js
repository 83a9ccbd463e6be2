// The lines of the first contract's name, as they are on the screen.
(() => {
  const lines = [];
  let top = null;
  const texts = document.createTreeWalker(document.querySelector(".contract h3"), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    for (let index = 0; index < node.length; index++) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + 1);
      const rect = range.getBoundingClientRect();
      if (rect.top !== top) lines.push("");
      top = rect.top;
      lines[lines.length - 1] += node.data[index];
    }
  }
  return lines;
})();
