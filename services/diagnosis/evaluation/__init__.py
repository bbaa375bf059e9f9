"""How well the matching finds the known failure behind a complaint, on judged complaints."""
