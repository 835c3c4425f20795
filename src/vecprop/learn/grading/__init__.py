"""Grading of a student's functions: right, or what is wrong, in three hints.

`tasks` says what each function has to do. `mistakes` lists common mistakes, and `mutations` changes parts of the right
formula. `judging` compares results with the right ones, and `explaining` finds the mistake that leads to all of them.
`network_task` and `network_mistakes` do so for networks. `student_process` runs a student's file elsewhere.
"""
