"""How requests and answers look on the wire: JSON read strictly, amounts as text, problems, pages."""
